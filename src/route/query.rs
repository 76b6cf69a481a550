//! What, besides the path, shapes a JSON answer: `$select` and `odata.metadata=`.

/// The level of `odata.metadata` asked for in `Accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetadataLevel {
    /// Not said: Graph answers `minimal`.
    #[default]
    Unsaid,
    /// `odata.metadata=none`
    None,
    /// `odata.metadata=minimal`
    Minimal,
    /// `odata.metadata=full`
    Full,
}

/// The variant of a JSON answer; the default for pictures, whatever `Accept` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Variant {
    /// The properties named by `$select` (`id`, `width`, `height`), as a set; `None` without it.
    pub select: Option<Select>,
    /// The level of annotations.
    pub metadata: MetadataLevel,
}

/// The properties of `profilePhoto` that a `$select` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Select {
    /// `id`
    pub id: bool,
    /// `width`
    pub width: bool,
    /// `height`
    pub height: bool,
}
