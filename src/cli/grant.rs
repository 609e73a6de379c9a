//! Grants as people write them: PROJECT:VERB[,VERB..][@MANAGER]. Asks for the id of a project that is named; changes
//! nothing.

use super::fault::Fault;
use super::find;
use addrd_client::{Client, Error};
use addrd_protocol::message::{Failure, Grant, PrincipalUpdate, Verb, Verbs};
use addrd_protocol::{ProjectId, Status, Text};
use std::str::FromStr;

/// What stands for all projects.
const ALL: &str = "all";

/// A grant whose project may be a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// `None`: all of them.
    project: Option<String>,
    verbs: Verbs,
    manager: Option<Text>,
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (project, rest) = text
            .split_once(':')
            .ok_or("write it as PROJECT:VERB[,VERB..][@MANAGER], or all:VERB for all projects")?;
        let (verbs, manager) = match rest.split_once('@') {
            Some((verbs, manager)) => (verbs, Some(text_of(manager)?)),
            None => (rest, None),
        };
        if project.is_empty() {
            return Err("the project is missing in front of the colon; all = all projects".into());
        }
        Ok(Self {
            project: Some(project).filter(|project| *project != ALL).map(str::to_owned),
            verbs: verbs.split(',').map(verb).collect::<Result<_, _>>()?,
            manager,
        })
    }
}

fn text_of(manager: &str) -> Result<Text, String> {
    match super::network::text(manager)? {
        text if text.is_empty() => Err("the manager is missing behind the @".to_owned()),
        text => Ok(text),
    }
}

fn verb(text: &str) -> Result<Verb, String> {
    let found = Verb::ALL.into_iter().find(|verb| verb.name() == text.replace('-', "_"));
    found.ok_or_else(|| {
        let names = Verb::ALL.map(Verb::name).join(", ");
        format!("\"{}\" is no verb: there are {names}", text.escape_debug())
    })
}

/// A grant as it is written.
pub(crate) fn shown(grant: &Grant) -> String {
    let project = grant.project_id.map_or_else(|| ALL.to_owned(), |project| project.to_string());
    let verbs = grant.verbs.iter().map(Verb::name).collect::<Vec<_>>().join(",");
    let manager = grant.manager.as_ref().map(|manager| format!("@{manager}"));
    format!("{project}:{verbs}{}", manager.unwrap_or_default())
}

/// Finds the projects that are named. An id is believed, so that a grant can be there before its project.
pub(crate) async fn resolve(client: &Client, given: Vec<Given>) -> Result<Vec<Grant>, Fault> {
    let mut grants = Vec::new();
    for Given { project, verbs, manager } in given {
        let project_id = match project {
            None => None,
            Some(name) => Some(project_of(client, &name).await?),
        };
        grants.push(Grant { project_id, verbs, manager });
    }
    Ok(grants)
}

async fn project_of(client: &Client, text: &str) -> Result<ProjectId, Fault> {
    if text == "default" {
        return Ok(ProjectId::DEFAULT);
    }
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    match client.project_get(Some(find::name(text)?)).await {
        Ok(project) => Ok(project.project_id),
        // Who may administer need not be let read.
        Err(Error::Refused(failure)) if failure.status == Status::NOT_ALLOWED => {
            let what = format!(
                "finding the project \"{text}\" by its name needs the verb read for all projects: write its id instead"
            );
            let message = Text::new(&what).unwrap_or_default();
            Err(Error::Refused(Box::new(Failure { message, ..*failure })).into())
        }
        Err(error) => {
            let all = client.projects(None);
            let found =
                find::shared_or_nearest(error, ("project", text), all, |one| one.name.as_ref());
            Ok(found.await?.project_id)
        }
    }
}

/// Whether two grants differ in nothing but their verbs.
fn is_alike(one: &Grant, other: &Grant) -> bool {
    (one.project_id, &one.manager) == (other.project_id, &other.manager)
}

/// The grants and these; verbs of the same project and manager come together in one.
pub(crate) fn add(grants: &mut Vec<Grant>, more: &[Grant]) {
    for grant in more {
        match grants.iter_mut().find(|known| is_alike(known, grant)) {
            Some(known) => known.verbs = known.verbs.iter().chain(grant.verbs.iter()).collect(),
            None => grants.push(grant.clone()),
        }
    }
}

/// The grants without these verbs of the same project and manager.
///
/// # Errors
/// [`Fault::Refused`] if there is no such verb: whoever takes something away must know what stays.
pub(crate) fn remove(grants: &mut Vec<Grant>, less: &[Grant]) -> Result<(), Fault> {
    for grant in less {
        for verb in grant.verbs.iter() {
            let has = |known: &&mut Grant| is_alike(known, grant) && known.verbs.has(verb);
            let mut holders = grants.iter_mut().filter(has).peekable();
            if holders.peek().is_none() {
                let missing = shown(&Grant { verbs: Verbs::NONE.with(verb), ..grant.clone() });
                return Err(Fault::Refused(format!("there is no grant {missing} to take away")));
            }
            holders.for_each(|known| {
                known.verbs = known.verbs.iter().filter(|kept| *kept != verb).collect();
            });
        }
        grants.retain(|known| !known.verbs.is_empty());
    }
    Ok(())
}

/// Whether an update asks for anything.
pub(crate) fn is_empty(update: &PrincipalUpdate) -> bool {
    let PrincipalUpdate { principal_id, expected, .. } = *update;
    *update == PrincipalUpdate { principal_id, expected, ..PrincipalUpdate::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Given {
        text.parse().unwrap()
    }

    fn grant(text: &str) -> Grant {
        let Given { project, verbs, manager } = given(text);
        Grant { project_id: project.map(|id| id.parse().unwrap()), verbs, manager }
    }

    fn all(grants: &[Grant]) -> Vec<String> {
        grants.iter().map(shown).collect()
    }

    const ONE: &str = "11111111-1111-4111-8111-111111111111";

    #[test]
    fn a_grant_reads_as_it_is_shown() {
        for text in [
            "all:administer".to_owned(),
            "all:read,allocate,release_own,release_any,manage,administer@cni".to_owned(),
            format!("{ONE}:read,release_own@a:b@c,d"),
        ] {
            assert_eq!(shown(&grant(&text)), text);
        }
        assert_eq!(given("blue:release-own"), given("blue:release_own"));
        for text in ["", "blue", ":read", "blue:", "blue:red", "blue:read,", "blue:read@"] {
            assert!(text.parse::<Given>().is_err(), "{text}");
        }
    }

    #[test]
    fn verbs_are_added_to_and_taken_from_the_grant_of_their_project_and_manager() {
        let mut grants = vec![grant("all:read")];
        add(&mut grants, &[grant("all:allocate"), grant("all:read@cni"), grant("all:read@cni")]);
        assert_eq!(all(&grants), ["all:read,allocate", "all:read@cni"]);
        remove(&mut grants, &[grant("all:read")]).unwrap();
        assert_eq!(all(&grants), ["all:allocate", "all:read@cni"]);
        for absent in ["all:manage", "all:allocate@cni", &format!("{ONE}:allocate")] {
            let error = remove(&mut grants.clone(), &[grant(absent)]);
            assert!(matches!(error, Err(Fault::Refused(_))), "{absent}");
        }
        remove(&mut grants, &[grant("all:read@cni")]).unwrap();
        assert_eq!(all(&grants), ["all:allocate"]);
    }
}
