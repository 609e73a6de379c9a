//! What a public repository does not name: hosts of package registries (a mirror must be able to
//! take their place) and folders of somebody's machine.

use crate::Finding;
use crate::tree::{self, File};

/// Parts of host names, split so that this file does not hold them.
const HOSTS: [&str; 10] = [
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("crates.io", "-index"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
    concat!("archive.ubun", "tu.com"),
    concat!("registry.npm", "js.org"),
    concat!("proxy.go", "lang.org"),
];

/// Folders that exist on one machine only.
const FOLDERS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        // Cargo writes the registry into its lock files; deny.toml checks that there is only one.
        let hosts =
            HOSTS.iter().filter(|host| file.name() != "Cargo.lock" && line.contains(**host));
        let folders = FOLDERS.iter().filter(|folder| names_folder(line, folder));
        for found in hosts.chain(folders) {
            findings.push(Finding::new(&file.path, at + 1, format!("names `{found}`")));
        }
    }
    findings
}

/// Whether the line holds the folder as the start of an absolute path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line.get(..start).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}/".contains(c))
    })
}

#[test]
fn nothing_names_a_registry_host_or_a_folder_of_a_machine() {
    crate::none(&tree::files().iter().flat_map(check).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::{FOLDERS, HOSTS, check};
    use crate::tree::File;

    #[test]
    fn each_is_found() {
        for folder in FOLDERS {
            let file = File::made_up("docs/a.md", &format!("see `{folder}x`"));
            assert_eq!(check(&file).len(), 1, "{folder}");
            let inside = File::made_up("docs/a.md", &format!("see docs{folder}x"));
            assert!(check(&inside).is_empty(), "{folder}");
        }
        for host in HOSTS {
            let file = File::made_up(".ci/run", &format!("curl {host}"));
            assert_eq!(check(&file).len(), 1, "{host}");
        }
    }
}
