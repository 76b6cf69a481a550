//! Who lives in the simulated tenant: people, groups, teams, contacts.
//!
//! Everything follows from a seed. The first member and the first team carry the ids of the
//! seed page's examples, so that its answers can be compared letter by letter.

use super::dice::Dice;
use super::faces;

/// The tenant id of the seed page's examples.
const EXAMPLE_TENANT: &str = "1717622f-1d94-c0d4-9d74-f907ad6677b4";
/// The user id of the seed page's examples.
const EXAMPLE_USER: &str = "ddfcd489-628b-7d04-b48b-20075df800e5";
/// The team id of the seed page's examples.
const EXAMPLE_TEAM: &str = "172b0cce-e65d-44ce-9a49-91d9f2e8491e";
/// The mail domain of the tenant; reserved, so it is nobody's.
const DOMAIN: &str = "lanternfield.example";

const SHORT_HAIRED: [&str; 20] = [
    "Amir", "Anton", "Bela", "Bram", "Dario", "Emeka", "Farid", "Idris", "Ivo", "Jaro", "Joon",
    "Kenji", "Lior", "Mako", "Nadir", "Oskar", "Ravi", "Selim", "Tavi", "Zeno",
];
const LONG_HAIRED: [&str; 20] = [
    "Ada", "Anouk", "Cleo", "Edda", "Elif", "Fenna", "Greta", "Hana", "Ines", "Kaja", "Leila",
    "Malin", "Mina", "Nia", "Odile", "Priya", "Runa", "Sanna", "Uma", "Yara",
];
const FAMILY: [&str; 36] = [
    "Amberlind",
    "Ashwarden",
    "Birchgate",
    "Bluefen",
    "Brightmoor",
    "Cloudmere",
    "Copperhill",
    "Dawnfield",
    "Dovemark",
    "Elmstrand",
    "Everlake",
    "Fairwind",
    "Fernhollow",
    "Foxbarrow",
    "Glimmervale",
    "Goldreed",
    "Greywick",
    "Harrowlea",
    "Hazelford",
    "Ironbrook",
    "Juniperson",
    "Kestrelby",
    "Larkspring",
    "Lindenroth",
    "Marlowend",
    "Mossbridge",
    "Nightriver",
    "Oakenshore",
    "Pinegrove",
    "Quillstone",
    "Ravenhurst",
    "Silverbeck",
    "Thornleaf",
    "Umberfell",
    "Willowdene",
    "Yarrowby",
];
const JOBS: [&str; 12] = [
    "Engineer",
    "Designer",
    "Accountant",
    "Product lead",
    "Librarian",
    "Researcher",
    "Support",
    "Writer",
    "Analyst",
    "Planner",
    "Recruiter",
    "Architect",
];
const TEAMS: [&str; 10] = [
    "Lighthouse",
    "Harbour",
    "Orchard",
    "Workshop",
    "Compass",
    "Kitchen",
    "Observatory",
    "Garden",
    "Library",
    "Boathouse",
];

/// What kind of account a person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// A member of the tenant.
    Member,
    /// Invited from elsewhere.
    Guest,
    /// A personal Microsoft account; in no tenant at all.
    Personal,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The object id, a lower-case GUID.
    pub id: String,
    /// The user principal name.
    pub upn: String,
    /// The name to show.
    pub name: String,
    /// The job title.
    pub job: String,
    /// Member, guest or personal account.
    pub account: Account,
    /// The side in pixels of the photo the person begins with, if any.
    pub photo: Option<u32>,
}

/// One group, which may be a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The object id, a lower-case GUID; the team's id too.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// Whether the group is a team.
    pub team: bool,
    /// The side in pixels of the photo the group begins with, if any.
    pub photo: Option<u32>,
}

/// One Outlook contact in somebody's mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The id; case-sensitive.
    pub id: String,
    /// The id of the person whose mailbox holds it.
    pub mailbox: String,
    /// The folder it lies in; case-sensitive.
    pub folder: String,
    /// The folder above that one, if it is a child folder.
    pub parent_folder: Option<String>,
    /// The name to show.
    pub name: String,
    /// The side in pixels of the photo the contact begins with, if any.
    pub photo: Option<u32>,
}

/// The tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The tenant id.
    pub id: String,
    /// Everyone, members first, then guests, then personal accounts.
    pub people: Vec<Person>,
    /// Groups; those that are teams first.
    pub groups: Vec<Group>,
    /// Contacts of the first members.
    pub contacts: Vec<Contact>,
    /// Ids of beta's team template definitions.
    pub templates: Vec<String>,
}

impl Tenant {
    /// A tenant of about so many people; a third of them have no photo.
    pub(super) fn new(seed: u64, people: usize) -> Self {
        let mut dice = Dice::new(seed);
        let members = people.max(6);
        let guests = (members / 12).max(2);
        let mut everyone: Vec<Person> = (0..members)
            .map(|number| member(&mut dice, number))
            .collect();
        everyone.extend((0..guests).map(|number| guest(&mut dice, number)));
        everyone.extend((0..2).map(|number| personal(&mut dice, number)));
        let groups = (0..(members / 10).clamp(4, 10))
            .map(|number| group(&mut dice, number))
            .collect();
        let contacts = everyone
            .iter()
            .take(3)
            .flat_map(|owner| (0..3).map(|number| (owner.id.clone(), number)))
            .map(|(owner, number)| contact(&mut dice, owner, number))
            .collect();
        Self {
            id: EXAMPLE_TENANT.to_owned(),
            people: everyone,
            groups,
            contacts,
            templates: vec!["standard".to_owned(), "education-class".to_owned()],
        }
    }

    /// Members who begin with a photo.
    pub fn with_photo(&self) -> impl Iterator<Item = &Person> {
        self.members().filter(|person| person.photo.is_some())
    }

    /// Members who begin without a photo.
    pub fn without_photo(&self) -> impl Iterator<Item = &Person> {
        self.members().filter(|person| person.photo.is_none())
    }

    /// Members of the tenant.
    pub fn members(&self) -> impl Iterator<Item = &Person> {
        self.of(Account::Member)
    }

    /// Guests in the tenant.
    pub fn guests(&self) -> impl Iterator<Item = &Person> {
        self.of(Account::Guest)
    }

    /// Personal accounts.
    pub fn personal(&self) -> impl Iterator<Item = &Person> {
        self.of(Account::Personal)
    }

    /// Groups that are teams.
    pub fn teams(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.team)
    }

    /// The contacts in one person's mailbox.
    pub fn contacts_of<'a>(&'a self, person: &'a Person) -> impl Iterator<Item = &'a Contact> {
        self.contacts
            .iter()
            .filter(move |contact| contact.mailbox == person.id)
    }

    /// The person with that id or user principal name, in any case.
    pub fn person(&self, key: &str) -> Option<&Person> {
        self.people.iter().find(|person| {
            person.id.eq_ignore_ascii_case(key) || person.upn.eq_ignore_ascii_case(key)
        })
    }

    /// The group or team with that id, in any case.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups
            .iter()
            .find(|group| group.id.eq_ignore_ascii_case(id))
    }

    fn of(&self, account: Account) -> impl Iterator<Item = &Person> {
        self.people
            .iter()
            .filter(move |person| person.account == account)
    }
}

fn member(dice: &mut Dice, number: usize) -> Person {
    // Strides that give no pair of names twice among the first 432.
    let family = FAMILY
        .get((number * 7 + number / 36) % FAMILY.len())
        .copied()
        .unwrap_or("Amberlind");
    let size = dice.pick(&[648, 648, 648, 648, 504, 432, 360, 240, 240, 96], 648);
    let id = match (dice.guid(), number) {
        (_, 0) => EXAMPLE_USER.to_owned(),
        (id, _) => id,
    };
    let job = dice.pick(&JOBS, "Engineer").to_owned();
    let names = given_names(&id);
    let given = names.get(number % names.len()).copied().unwrap_or("Ada");
    Person {
        id,
        upn: format!(
            "{}.{}{}@{DOMAIN}",
            given.to_lowercase(),
            family.to_lowercase(),
            match number {
                0..432 => String::new(),
                _ => number.to_string(),
            },
        ),
        name: format!("{given} {family}"),
        job,
        account: Account::Member,
        photo: match number {
            0 => Some(240),
            1 => Some(648),
            number if number % 3 == 2 => None,
            _ => Some(size),
        },
    }
}

/// Names that go with the face that this id has.
fn given_names(id: &str) -> &'static [&'static str; 20] {
    if faces::short_haired(id) {
        &SHORT_HAIRED
    } else {
        &LONG_HAIRED
    }
}

fn guest(dice: &mut Dice, number: usize) -> Person {
    let id = dice.guid();
    let given = dice.pick(given_names(&id), "Ada");
    let family = dice.pick(&FAMILY, "Amberlind");
    Person {
        id,
        upn: format!(
            "{}.{}{number}_partner.example#EXT#@{DOMAIN}",
            given.to_lowercase(),
            family.to_lowercase()
        ),
        name: format!("{given} {family}"),
        job: "Guest".to_owned(),
        account: Account::Guest,
        photo: number.is_multiple_of(2).then_some(240),
    }
}

fn personal(dice: &mut Dice, number: usize) -> Person {
    let id = dice.guid();
    let given = dice.pick(given_names(&id), "Ada");
    Person {
        id,
        upn: format!("{}.{number}@personal.example", given.to_lowercase()),
        name: given.to_owned(),
        job: String::new(),
        account: Account::Personal,
        photo: Some(360),
    }
}

fn group(dice: &mut Dice, number: usize) -> Group {
    let id = dice.guid();
    Group {
        id: match number {
            0 => EXAMPLE_TEAM.to_owned(),
            _ => id,
        },
        name: TEAMS
            .get(number % TEAMS.len())
            .copied()
            .unwrap_or("Harbour")
            .to_owned(),
        team: number < 3,
        photo: match number {
            0 => Some(240),
            number if number % 3 == 2 => None,
            _ => Some(648),
        },
    }
}

fn contact(dice: &mut Dice, mailbox: String, number: u32) -> Contact {
    let folder = format!("AAMkAGFolder{}AAA=", dice.hex(6));
    let parent = format!("AAMkAGParent{}AAA=", dice.hex(6));
    let id = format!("AAMkAGContact{}AAA=", dice.hex(8));
    let given = dice.pick(given_names(&id), "Ada");
    Contact {
        id,
        mailbox,
        folder,
        parent_folder: (number == 2).then_some(parent),
        name: format!("{} {}", given, dice.pick(&FAMILY, "Amberlind")),
        photo: (number != 1).then_some(240),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_tenant_is_the_same_every_time_and_a_third_has_no_photo() {
        let tenant = Tenant::new(1, 240);
        assert_eq!(tenant.people, Tenant::new(1, 240).people);
        assert_eq!(tenant.without_photo().count(), 80);
        assert_eq!(tenant.person(EXAMPLE_USER).unwrap().photo, Some(240));
        let mut names: Vec<_> = tenant.people.iter().map(|person| &person.upn).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), tenant.people.len());
    }

    #[test]
    fn no_two_people_of_a_large_tenant_go_by_one_name() {
        let tenant = Tenant::new(1, 2_000);
        let names: HashSet<_> = tenant.people.iter().map(|person| &person.upn).collect();
        assert_eq!(names.len(), tenant.people.len());
    }

    #[test]
    fn there_are_guests_teams_groups_and_contacts_in_a_small_one() {
        let tenant = Tenant::new(7, 0);
        assert!(tenant.guests().count() >= 2 && tenant.personal().count() >= 1);
        assert!(tenant.teams().count() >= 2 && tenant.groups.len() > tenant.teams().count());
        let owner = tenant.members().next().unwrap();
        assert_eq!(tenant.contacts_of(owner).count(), 3);
    }
}
