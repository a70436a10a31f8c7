//! Names that only one may have, each an item of its own: I4, every entity owns its names and every name has its entity. And the
//! sessions of accounts.

use serde_json::Map;
use shared::auth::PasswordHash;
use shared::domain::{Email, Role, Session, Username};
use shared::store::schema::{self, ItemKind, Naming};

use super::finding::{Finding, Remedy, Tear, Violation, Write};
use super::items::Items;
use super::layout::{self, Item, Kind};
use crate::error::Result;

/// Names of one kind.
pub struct Names {
    /// Of their items.
    kind: &'static ItemKind,
    naming: &'static Naming,
}

/// All kinds of names.
pub fn all() -> impl Iterator<Item = Names> {
    schema::KINDS.into_iter().filter_map(|kind| Some(Names { kind, naming: kind.naming.as_ref()? }))
}

impl Names {
    /// What their partition keys begin with.
    pub fn prefix(&self) -> &'static str {
        self.kind.pk.prefix()
    }

    /// A name: the item that says whose it is, and all that are called so.
    pub fn judge(&self, subject: &str, group: &[Item], items: &Items) -> Result<Vec<Finding>> {
        let Naming { entity, attribute, owner: owned_by, .. } = self.naming;
        let (entity, sk) = (entity.pk.prefix(), entity.sk.prefix());
        let owner = group.iter().find(|item| item.pk == subject && item.sk == self.kind.sk.prefix());
        let named: Vec<_> = group.iter().filter(|item| item.pk.starts_with(entity) && item.sk == sk).collect();
        let owner_id = owner.map(|owner| owner.text(owned_by));
        let strangers: Vec<_> = named.iter().copied().filter(|item| Some(item.id()) != owner_id).collect();

        let mut findings = Vec::new();
        let lost = owner.filter(|_| strangers.len() == named.len());
        if let Some(owner) = lost {
            findings.push(self.without_entity(owner, &strangers, items)?);
        }
        for stranger in &strangers {
            let violation = vec![Violation::of(stranger, format!("does not own its {}", self.shown(subject)))];
            findings.push(if named.len() > 1 {
                Finding::broken(violation, "two have one of these: give one of them another")
            } else if lost.is_some() {
                Finding::torn(Tear::EntityWithoutOwner, violation, Remedy::Elsewhere)
            } else {
                let writes = vec![Write::check(stranger, stranger.as_read(&[attribute])), self.put(subject, stranger)];
                Finding::torn(Tear::EntityWithoutOwner, violation, Remedy::write(writes))
            });
        }
        Ok(findings)
    }

    /// An owner item whose entity is not there, or is called otherwise.
    fn without_entity(&self, owner: &Item, others: &[&Item], items: &Items) -> Result<Finding> {
        let Naming { name, entity, attribute, owner: owned_by } = self.naming;
        let (who, id) = (entity.name, owner.text(owned_by));
        let key = (entity.pk.with(&[&id]), entity.sk.prefix());
        let exists = items.get(&key.0, key.1)?;
        let relative = if who == "user" { "who" } else { "which" };
        let what = match &exists {
            None => format!("is owned by {who} {id:?}, {relative} does not exist"),
            Some(_) => format!("is owned by {who} {id:?}, whose {name} is another"),
        };
        let violation = vec![Violation::of(owner, what)];
        let as_read = owner.as_read(&[owned_by]);
        let mut writes = match others {
            [other] => vec![
                Write::check(other, other.as_read(&[attribute])),
                Write::update(owner, vec![(*owned_by, layout::text(other.id()))], as_read),
            ],
            _ => vec![Write::delete(owner, as_read)],
        };
        writes.push(match exists {
            Some(entity) => Write::check(&entity, entity.as_read(&[attribute])),
            None => Write::absent(key.0, key.1),
        });
        Ok(Finding::torn(Tear::OwnerWithoutEntity, violation, Remedy::write(writes)))
    }

    fn put(&self, subject: &str, entity: &Item) -> Write {
        let attributes = Map::from_iter([(self.naming.owner.to_owned(), layout::text(entity.id()))]);
        Write::Put { pk: subject.to_owned(), sk: self.kind.sk.prefix().to_owned(), attributes }
    }

    /// Names of products are no secret, those of people are.
    fn shown(&self, subject: &str) -> String {
        let name = &subject[self.prefix().len()..];
        if *self.naming.entity == schema::PRODUCT {
            format!("{} {name:?}", self.naming.name)
        } else {
            self.naming.name.to_owned()
        }
    }
}

/// An account with its password and its sessions, and the set of admins if the account is in it. `subject` is the key of the account.
pub fn judge_user(subject: &str, group: &[Item]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let of = |kind: Kind| group.iter().find(|item| item.kind() == Some(kind));
    let (user, password, listed) = (of(Kind::User), of(Kind::Password), of(Kind::Admins));
    match (user, password) {
        (Some(user), None) => {
            let violation = Violation::of(user, "has no password");
            // Nobody knows what it was: one that nobody has keeps the account for its owner to recover.
            let hash = layout::text(PasswordHash::of_nobody().as_phc());
            let put = Write::Put {
                pk: schema::PASSWORD.pk.with(&[&user.id()]),
                sk: schema::PASSWORD.sk.prefix().to_owned(),
                attributes: Map::from_iter([("password".to_owned(), hash)]),
            };
            let writes = vec![Write::check(user, Vec::new()), put];
            findings.push(Finding::torn(Tear::UserWithoutPassword, vec![violation], Remedy::write(writes)));
        }
        (None, Some(password)) => {
            let violation = Violation::of(password, "belongs to a user who does not exist");
            let writes = vec![Write::delete(password, password.as_read(&[])), Write::absent(subject, schema::USER.sk.prefix())];
            findings.push(Finding::torn(Tear::PasswordWithoutUser, vec![violation], Remedy::write(writes)));
        }
        _ => {}
    }
    let is_admin = |user: &Item| user.text("role") == Role::Admin.as_str() && user.attributes["is_active"]["BOOL"] == true;
    match (user.filter(|user| is_admin(user)), listed) {
        (Some(user), None) => {
            let violation = Violation::of(user, "is an active admin, and not in the set of those");
            let remedy = Remedy::Decide("invoke account-admin with its user_id and its role, which lists it");
            findings.push(Finding::torn(Tear::UnlistedAdmin, vec![violation], remedy));
        }
        (None, Some(listed)) => {
            let violation = Violation::of(listed, "lists a user who is no active admin");
            let remedy = Remedy::Decide("take its id out of the set, or the last admin of the shop is not kept");
            findings.push(Finding::torn(Tear::AdminWithoutUser, vec![violation], remedy));
        }
        _ => {}
    }
    if let Some(user) = user {
        let unsound = [
            ("e-mail address", Email::parse(user.text("email")).is_err()),
            ("username", Username::parse(user.text("username")).is_err()),
        ];
        for (name, _) in unsound.iter().filter(|(_, unsound)| *unsound) {
            let violation = Violation::of(user, format!("its {name} breaks its rules"));
            findings.push(Finding::broken(vec![violation], "no request is let through with it: ask whose account it is"));
        }
    }
    for sessions in group.iter().filter(|item| item.kind() == Some(Kind::Sessions)) {
        let count = sessions.attributes["sessions"]["M"].as_object().map_or(0, Map::len);
        if count > Session::MAX_PER_ACCOUNT {
            let violation = Violation::of(sessions, format!("has {count} sessions, more than {}", Session::MAX_PER_ACCOUNT));
            findings
                .push(Finding::broken(vec![violation], "nothing is lost by deleting it: whoever it belongs to logs in again"));
        }
        if user.is_some() {
            continue;
        }
        // Half of a registration, and a login in the same instant: without its account it is worth nothing to anybody.
        let violation = Violation::of(sessions, "belongs to a user who does not exist");
        let account = schema::USER.pk.with(&[&sessions.id()]);
        let writes =
            vec![Write::delete(sessions, sessions.as_read(&["expires_at"])), Write::absent(&account, schema::USER.sk.prefix())];
        findings.push(Finding::torn(Tear::SessionWithoutUser, vec![violation], Remedy::write(writes)));
    }
    findings
}
