//! The figures as `OpenMetrics` text, for Prometheus to collect.
//!
//! Base units only (seconds, bytes); every name begins with `graph_photo_proxy_`. No label
//! holds a name, an id or a token: their values are the words of the rooms' enums, so that the
//! number of series is fixed.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::figures::{FAILURES, Histogram, INSTEAD, KINDS, NOT_STORED, SOURCES, VIEWS, WAYS};
use super::watched::Watched;
use super::{Canary, system};
use crate::upstream::gate::{Breaking, Cause, Standing};

/// The media type of what [`text`] gives.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures as they are now.
///
/// # Errors
///
/// Never: a string takes whatever is written to it.
pub(super) fn text(watched: &Watched) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("graph_photo_proxy");
    registry.register_collector(Box::new(watched.clone()));
    let mut text = String::with_capacity(16 * 1024);
    encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Watched {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.requests(&mut page)?;
        self.upstream(&mut page)?;
        self.gate(&mut page)?;
        self.memory(&mut page)?;
        self.process(&mut page)
    }
}

impl Watched {
    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let figures = self.rooms.ops.figures();
        let mut requests = Vec::with_capacity(90);
        for (kind_name, kind) in KINDS {
            for (view_name, view) in VIEWS {
                for (cache, forward) in WAYS {
                    let count = figures.requests.get(kind, view, forward);
                    requests.push((
                        [("kind", kind_name), ("view", view_name), ("cache", cache)],
                        count,
                    ));
                }
            }
        }
        page.counters(
            "requests",
            "Photo requests, by how they were handled: a hit, or why Graph was asked",
            &requests,
        )?;
        let mut answers = Vec::new();
        for (source, statuses) in SOURCES.iter().zip(&figures.answers) {
            for (status, count) in statuses.seen() {
                answers.push((status.to_string(), *source, count));
            }
        }
        let answers: Vec<_> = answers
            .iter()
            .map(|(status, source, count)| {
                ([("source", *source), ("status", status.as_str())], *count)
            })
            .collect();
        page.counters("answers", "Answers to photo requests", &answers)?;
        page.counter(
            "collapsed_requests",
            "Photo requests that shared another's question",
            figures.collapsed.get(),
        )?;
        let stale: Vec<_> = INSTEAD
            .iter()
            .enumerate()
            .map(|(slot, detail)| ([("reason", detail.token())], figures.instead.get(slot)))
            .collect();
        page.counters(
            "stale_answers",
            "Answers shown past their lifetime or in place of Graph's",
            &stale,
        )?;
        let not_stored: Vec<_> = NOT_STORED
            .iter()
            .enumerate()
            .map(|(slot, reason)| ([("reason", reason.detail())], figures.not_stored.get(slot)))
            .collect();
        page.counters(
            "not_stored",
            "Answers of Graph that were not stored",
            &not_stored,
        )?;
        page.gauge(
            "calls_saved",
            "Photo requests less calls to Graph, since the start",
            None,
            &figures.saved(),
        )?;
        page.counter(
            "tenant_sharing_would_save",
            "Photo requests that went to Graph and would not have under sharing = tenant",
            figures.would_share.get(),
        )?;
        page.counter(
            "cross_identity_hits",
            "Answers of one identity seen with another; anything but 0 is an emergency",
            figures.cross_identity.get(),
        )?;
        page.histogram(
            "hit_duration",
            "From a request's head to its answer's, where memory had it",
            &figures.hit,
        )
    }

    fn upstream(&self, page: &mut Page<'_>) -> fmt::Result {
        let figures = self.rooms.ops.figures();
        let mut calls = Vec::new();
        for (route, statuses) in [("photo", &figures.asked), ("pass_through", &figures.passed)] {
            for (status, count) in statuses.seen() {
                calls.push((status.to_string(), route, count));
            }
        }
        let calls: Vec<_> = calls
            .iter()
            .map(|(status, route, count)| {
                ([("route", *route), ("status", status.as_str())], *count)
            })
            .collect();
        page.counters("upstream_requests", "Calls Graph has answered", &calls)?;
        page.counter(
            "upstream_relayed_requests",
            "Photo requests handed to Graph past the store",
            figures.relayed.get(),
        )?;
        let failures: Vec<_> = FAILURES
            .iter()
            .enumerate()
            .map(|(slot, why)| ([("reason", *why)], figures.failures.get(slot)))
            .collect();
        page.counters(
            "upstream_failures",
            "Photo calls Graph has not answered",
            &failures,
        )?;
        page.counter(
            "verifications",
            "Photo calls with a validator: has it changed, may this caller see it",
            figures.conditional.get(),
        )?;
        page.counter(
            "verified_unchanged",
            "Verifications answered 304, without the picture",
            figures.asked.within(304, 304),
        )?;
        page.histogram(
            "upstream_duration",
            "From a photo call to the first byte of Graph's answer",
            &figures.graph,
        )
    }

    fn gate(&self, page: &mut Page<'_>) -> fmt::Result {
        let gate = self.rooms.questions.gate();
        let standings = gate.standings(self.rooms.clock.now());
        let closed = standings
            .iter()
            .filter(|standing| standing.closed_for > Duration::ZERO)
            .count();
        let longest = standings
            .first()
            .map_or(0.0, |standing| standing.closed_for.as_secs_f64());
        let sum = |of: fn(&Standing) -> usize| -> usize { standings.iter().map(of).sum() };
        page.gauge(
            "gate_budgets",
            "Budgets in use (tenant and application)",
            None,
            &standings.len(),
        )?;
        page.gauge(
            "gate_closed_budgets",
            "Budgets that Graph has told to wait",
            None,
            &closed,
        )?;
        page.gauge(
            "gate_wait",
            "What is left of the longest wait",
            Some(&Unit::Seconds),
            &longest,
        )?;
        let (times, total) = gate.closed();
        page.counter(
            "gate_closures",
            "How often Graph has closed a budget",
            times,
        )?;
        page.counter_of(
            "gate_closed",
            "How long budgets have been closed for, all together",
            Some(&Unit::Seconds),
            &total.as_secs_f64(),
        )?;
        self.breakers(page, &standings)?;
        page.gauge(
            "upstream_in_flight",
            "Photo calls in flight",
            None,
            &sum(|standing| standing.in_flight),
        )?;
        page.gauge(
            "upstream_queued",
            "Photo calls waiting for their turn",
            None,
            &sum(|standing| standing.queued),
        )?;
        page.gauge(
            "waiting_callers",
            "Callers waiting for another's question",
            None,
            &self.rooms.questions.waiting(),
        )
    }

    fn breakers(&self, page: &mut Page<'_>, standings: &[Standing]) -> fmt::Result {
        let gate = self.rooms.questions.gate();
        let kinds = standings.iter().flat_map(|standing| &standing.breakers);
        // The worst of all budgets and kinds of owners: how many there are is not fixed.
        let answers = kinds.map(|(_, breaking)| *breaking);
        let answers = answers.max_by_key(|breaking| breaking.rank());
        let reach = gate.reach(self.rooms.clock.now());
        let mut states = Vec::new();
        for (cause, breaking) in [
            (Cause::Connections, reach),
            (Cause::Answers, answers.unwrap_or(Breaking::Closed)),
        ] {
            for word in Breaking::WORDS {
                let labels = [("cause", cause.word()), ("state", word)];
                states.push((labels, u64::from(breaking.word() == word)));
            }
        }
        page.gauges(
            "breaker",
            "Whether questions are held back because Graph fails; of answers the worst of all budgets",
            None,
            &states,
        )?;
        let openings = Cause::ALL.map(|cause| ([("cause", cause.word())], gate.openings(cause)));
        page.counters(
            "breaker_openings",
            "How often Graph has failed so often in a row that questions were held back",
            &openings,
        )
    }

    fn memory(&self, page: &mut Page<'_>) -> fmt::Result {
        let cache = &self.rooms.cache;
        let (entries, bytes) = cache.held();
        page.gauge("cache_entries", "Entries held", None, &entries)?;
        page.gauge(
            "cache_held",
            "What is held, overhead included, as the bound counts it",
            Some(&Unit::Bytes),
            &bytes,
        )?;
        page.gauge(
            "cache_bound",
            "The bound on what is held: cache_memory but for what the process needs besides",
            Some(&Unit::Bytes),
            &cache.bound(),
        )?;
        if let Some(resident) = system::resident() {
            page.gauge(
                "process_resident_memory",
                "Memory of the process as the system counts it",
                Some(&Unit::Bytes),
                &resident,
            )?;
        }
        let causes = cache.removals().causes();
        let causes = causes.map(|(cause, count)| ([("cause", cause)], count));
        page.counters("cache_removals", "Entries that have gone", &causes)?;
        page.gauge(
            "proofs",
            "Tokens Graph's word about which is remembered",
            None,
            &self.rooms.identity.proofs_held(),
        )?;
        page.gauge(
            "aliases",
            "Pairs of names known to mean one user",
            None,
            &cache.aliases.known(),
        )
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "connections",
            "Connections of callers",
            None,
            &self.connections(),
        )?;
        if let Some((held, most)) = system::descriptors() {
            page.gauge("process_open_fds", "Open file descriptors", None, &held)?;
            page.gauge("process_max_fds", "How many may be open", None, &most)?;
        }
        let certificates: Vec<_> = self
            .certificates()
            .map(|(listener, ends)| ([("listener", listener)], ends))
            .collect();
        page.gauges(
            "tls_certificate_expiration_timestamp",
            "When the certificate of a listener ends, in seconds since 1970",
            Some(&Unit::Seconds),
            &certificates,
        )?;
        let ready = u64::from(self.is_ready());
        page.gauge("ready", "Whether /readyz says yes", None, &ready)?;
        let well = u64::from(self.rooms.ops.canary() == Canary::Well);
        page.gauge(
            "canary_well",
            "Whether the canary has sung and is well",
            None,
            &well,
        )?;
        let uptime = self.uptime().as_secs_f64();
        page.gauge("uptime", "Since the start", Some(&Unit::Seconds), &uptime)?;
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("sharing", self.sharing()),
        ];
        let mut info = page
            .0
            .encode_descriptor("build", "What runs", None, MetricType::Info)?;
        info.encode_info(&labels)
    }
}

/// Where descriptors and their values are written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        self.counter_of(name, help, None, &count)
    }

    fn counter_of(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: &impl EncodeCounterValue,
    ) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, unit, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(value, None)
    }

    fn counters<const L: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: &[([(&str, &str); L], u64)],
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in series {
            family
                .encode_family(labels)?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: &impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?
            .encode_gauge(value)
    }

    fn gauges<const L: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: &[([(&str, &str); L], u64)],
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(labels)?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let buckets = histogram.buckets();
        // Of one reading: what is noted meanwhile is in neither.
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.0
            .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(histogram.sum(), count, &buckets, None)
    }
}
