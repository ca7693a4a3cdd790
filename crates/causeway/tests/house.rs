//! The rules of the house that a compiler does not see: who may depend on whom, and on which licences.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId};

/// Who may depend on whom among our own packages. What is not listed is forbidden.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("causeway-stun", &[]),
    ("causeway-protocol", &[]),
    ("causeway-turn-core", &["causeway-stun", "causeway-protocol"]),
    ("causeway-signal-core", &["causeway-protocol"]),
    ("causeway-cluster", &["causeway-protocol"]),
    ("causeway-service", &["causeway-protocol"]),
    (
        "causeway-turn",
        &["causeway-turn-core", "causeway-stun", "causeway-protocol", "causeway-service", "causeway-cluster"],
    ),
    (
        "causeway-signal",
        &["causeway-signal-core", "causeway-protocol", "causeway-service", "causeway-cluster"],
    ),
    ("causeway-loadtest", &["causeway-stun", "causeway-protocol"]),
    (
        "causeway",
        &["causeway-turn", "causeway-signal", "causeway-protocol", "causeway-service", "causeway-cluster"],
    ),
];

/// What the pure packages never reach, at any depth: runtimes, sockets, the operating system, wall clocks.
const NEVER_IN_A_CORE: &[&str] = &[
    "actix",
    "actix-rt",
    "actix-web",
    "async-std",
    "chrono",
    "crossbeam-channel",
    "mio",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tracing-subscriber",
];

const PURE: &[&str] = &["causeway-stun", "causeway-protocol", "causeway-turn-core", "causeway-signal-core"];

/// Licences under which we link other people's work. `deny.toml` has the same list, for cargo-deny.
const ALLOWED_LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that are refused whatever their licence.
const REFUSED: &[(&str, &str)] = &[
    ("turn-rs", "GPL-2.0-or-later; see docs/adr/0001"),
    ("rsa", "RUSTSEC-2023-0071, timing attack without a fix"),
    ("openssl-sys", "one TLS backend, rustls with aws-lc-rs"),
    ("native-tls", "one TLS backend, rustls with aws-lc-rs"),
    ("ring", "one cryptography backend, aws-lc-rs"),
    ("actix-web-actors", "deprecated, and its queue has no bound; see docs/adr/0003"),
];

#[test]
fn dependencies_among_our_packages_point_one_way() {
    let metadata = metadata();
    let rules: BTreeMap<_, BTreeSet<_>> =
        MAY_DEPEND.iter().map(|&(name, allowed)| (name, allowed.iter().copied().collect())).collect();
    for package in metadata.workspace_packages() {
        let Some(allowed) = rules.get(package.name.as_str()) else {
            panic!("{} has no line in MAY_DEPEND: decide whom it may depend on", package.name);
        };
        for dependency in &package.dependencies {
            // Tests may look at anything; what is shipped may not.
            if dependency.kind == DependencyKind::Normal && dependency.name.starts_with("causeway") {
                assert!(
                    allowed.contains(dependency.name.as_str()),
                    "{} must not depend on {}",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

#[test]
fn a_core_reaches_no_runtime_no_socket_and_no_clock() {
    let metadata = metadata();
    for &name in PURE {
        for reached in shipped_with(&metadata, name) {
            assert!(!NEVER_IN_A_CORE.contains(&reached.name.as_str()), "{name} reaches {}", reached.name);
        }
    }
}

#[test]
fn every_crate_we_build_with_has_an_allowed_licence() {
    for package in &metadata().packages {
        let licence = package.license.clone().unwrap_or_default().replace('/', " OR ");
        let expression = spdx::Expression::parse(&licence).unwrap_or_else(|error| {
            panic!("{} {}: licence {licence:?}: {error}", package.name, package.version)
        });
        let allowed = expression
            .evaluate(|wanted| wanted.license.id().is_some_and(|id| ALLOWED_LICENCES.contains(&id.name)));
        assert!(allowed, "{} {} is licensed {licence}", package.name, package.version);
    }
}

#[test]
fn nothing_is_built_with_a_refused_crate() {
    let metadata = metadata();
    for node in &metadata.resolve.as_ref().unwrap().nodes {
        let user = metadata.packages.iter().find(|package| package.id == node.id).unwrap();
        for &(name, reason) in REFUSED {
            let asked_for = user.dependencies.iter().any(|dependency| {
                // What others test with is not built.
                let built = dependency.kind != DependencyKind::Development || user.source.is_none();
                dependency.name == name && built && (!dependency.optional || is_on(node, user, name))
            });
            assert!(!asked_for, "{} is built with {name}: {reason}", user.name);
        }
    }
}

#[test]
fn the_licences_named_here_and_in_deny_toml_are_the_same() {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    for licence in ALLOWED_LICENCES {
        assert!(text.contains(&format!("\"{licence}\"")), "deny.toml does not allow {licence}");
    }
    for (name, _) in REFUSED {
        assert!(text.contains(&format!("\"{name}\"")), "deny.toml does not refuse {name}");
    }
}

/// Cargo reads every package of the workspace, even to build one of them.
#[test]
fn the_image_is_built_from_every_package() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (dockerfile, ignored) = (read("Dockerfile"), read(".dockerignore"));
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.strip_prefix(root()).unwrap().components().next().unwrap();
        let folder = folder.as_str();
        let is = |line: String| move |other: &str| other == line;
        assert!(dockerfile.lines().any(is(format!("COPY {folder} {folder}"))), "Dockerfile lacks {folder}");
        assert!(ignored.lines().any(is(format!("!{folder}"))), ".dockerignore leaves {folder} out");
    }
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let allowed = root().join("turn/src/io/linux.rs");
    for folder in ["crates", "turn", "signal", "loadtest"] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let uses = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or_default();
                code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
            });
            let is_test = file.components().any(|part| part.as_os_str() == "tests");
            assert!(!uses || is_test || file == allowed, "{} contains unsafe code", file.display());
        }
    }
}

#[test]
fn every_rust_file_says_first_what_it_is_for() {
    for folder in ["crates", "turn", "signal", "loadtest"] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//!"), "{} does not start with a //! sentence", file.display());
        }
    }
}

/// Whether a feature that is on switches an optional dependency on. The lock file does not tell: it also names what a
/// feature mentions only in case that it is on (`ring?/alloc`).
fn is_on(node: &Node, package: &Package, dependency: &str) -> bool {
    let switch = [dependency.to_owned(), format!("dep:{dependency}")];
    node.features.iter().any(|on| {
        let switches = package.features.get(on.as_str());
        switches.is_some_and(|all| all.iter().any(|one| switch.contains(one)))
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(["--locked".to_owned(), "--offline".to_owned()])
        .exec()
        .unwrap()
}

/// Every package that `name` is built from on Linux, tests and build scripts aside.
fn shipped_with<'a>(metadata: &'a Metadata, name: &str) -> Vec<&'a Package> {
    let graph = metadata.resolve.as_ref().unwrap();
    let start = metadata.packages.iter().find(|package| package.name.as_str() == name).unwrap();
    let mut seen: BTreeSet<&PackageId> = BTreeSet::from([&start.id]);
    let mut queue = vec![&start.id];
    while let Some(id) = queue.pop() {
        let node = graph.nodes.iter().find(|node| node.id == *id).unwrap();
        for dependency in &node.deps {
            let shipped = dependency.dep_kinds.iter().any(|kind| {
                let elsewhere = kind.target.as_ref().is_some_and(|target| {
                    let target = target.to_string();
                    target.contains("windows") || target.contains("wasm") || target.contains("macos")
                });
                kind.kind == DependencyKind::Normal && !elsewhere
            });
            if shipped && seen.insert(&dependency.pkg) {
                queue.push(&dependency.pkg);
            }
        }
    }
    metadata.packages.iter().filter(|package| seen.contains(&package.id)).collect()
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
