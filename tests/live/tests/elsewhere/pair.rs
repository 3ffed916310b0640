//! Two clusters that reach each other over TLS alone, with an authority of their own.

use live::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What both clusters are called in their certificates.
const HOST: &str = "shop.example";
pub const TRAINER: &str = "gpu.example";

/// A file that only the cluster's user can read.
fn owned(cluster: &Cluster, name: &str, text: &[u8]) {
    let path = cluster.dir().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut chown = Command::new("chown");
    chown.arg("--reference").arg(cluster.dir()).arg(&path);
    assert!(chown.status().unwrap().success());
}

/// An authority in `folder`, or, with a name, a certificate that it signs.
fn certify(folder: &Path, name: Option<&str>) -> bool {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-new", "-x509", "-days", "2", "-nodes"])
        .current_dir(folder);
    match name {
        None => openssl.args([
            "-subj",
            "/CN=authority",
            "-out",
            "ca.crt",
            "-keyout",
            "ca.key",
        ]),
        Some(name) => openssl
            .args([
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-subj",
                &format!("/CN={name}"),
            ])
            .args(["-addext", &format!("subjectAltName=DNS:{name}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args([
                "-out",
                &format!("{name}.crt"),
                "-keyout",
                &format!("{name}.key"),
            ]),
    };
    openssl.output().is_ok_and(|made| made.status.success())
}

/// The cluster with the rows, the one that trains, and their addresses.
pub struct Pair {
    pub host: Cluster,
    pub trainer: Cluster,
    addresses: [String; 2],
}

impl Pair {
    /// Nothing where there is no openssl.
    pub fn start() -> Option<Pair> {
        let folder = tempfile::tempdir().unwrap();
        let names = [HOST, TRAINER];
        if !certify(folder.path(), None)
            || !names.iter().all(|name| certify(folder.path(), Some(name)))
        {
            return None;
        }
        // Addresses of this machine that no other test has.
        let pid = std::process::id();
        let addresses = [2, 3].map(|last| format!("127.{}.{}.{last}", pid >> 8 & 255, pid & 255));
        let clusters = [0, 1].map(|at: usize| {
            let cluster = Cluster::start("log_connections = on\n");
            let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
            owned(&cluster, "ca.crt", &read("ca.crt"));
            owned(&cluster, "server.crt", &read(&format!("{}.crt", names[at])));
            owned(&cluster, "server.key", &read(&format!("{}.key", names[at])));
            let rules = "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n";
            owned(&cluster, "data/pg_hba.conf", rules.as_bytes());
            let (dir, mut s) = (
                cluster.dir().display(),
                cluster.connect("postgres", "postgres"),
            );
            for setting in [
                format!("ssl_cert_file = '{dir}/server.crt'"),
                format!("ssl_key_file = '{dir}/server.key'"),
                "ssl = on".into(),
                format!("listen_addresses = '{}'", addresses[at]),
            ] {
                s.exec(&format!("ALTER SYSTEM SET {setting}"));
            }
            cluster.stop("fast");
            cluster.up();
            cluster
        });
        let [host, trainer] = clusters;
        let pair = Pair {
            host,
            trainer,
            addresses,
        };
        pair.set_up();
        Some(pair)
    }

    /// Options of a server: the way from one cluster to the other.
    pub fn way(&self, to: usize, more: &str) -> String {
        let (from, name) = match to {
            0 => (&self.trainer, HOST),
            _ => (&self.host, TRAINER),
        };
        format!(
            "host '{name}', hostaddr '{}', dbname 'postgres', sslmode 'verify-full', sslrootcert '{}/ca.crt'{more}",
            self.addresses[to],
            from.dir().display()
        )
    }

    /// Rows and roles, as README.md has them.
    #[track_caller]
    fn set_up(&self) {
        let mut s = self.host.connect("postgres", "postgres");
        s.exec("CREATE EXTENSION insight; CREATE EXTENSION postgres_fdw");
        customers(&mut s, 1000);
        s.exec(&format!(
            "SET password_encryption = 'scram-sha-256';
             CREATE ROLE reader LOGIN PASSWORD 'reads'; CREATE ROLE analyst LOGIN; CREATE ROLE outsider LOGIN;
             GRANT SELECT ON customers TO reader, analyst;
             CREATE SERVER gpu FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({});
             GRANT USAGE ON FOREIGN SERVER gpu TO analyst;
             CREATE USER MAPPING FOR analyst SERVER gpu OPTIONS (user 'shop', password 'trains')",
            self.way(
                1,
                ", connect_timeout '10', keepalives_idle '60', tcp_user_timeout '60000'"
            )
        ));
        let mut s = self.trainer.connect("postgres", "postgres");
        s.exec(&format!(
            "CREATE EXTENSION insight; CREATE EXTENSION postgres_fdw;
             SET password_encryption = 'scram-sha-256';
             CREATE ROLE shop LOGIN PASSWORD 'trains';
             CREATE SERVER shop FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({});
             CREATE USER MAPPING FOR shop SERVER shop OPTIONS (user 'reader', password 'reads');
             GRANT USAGE ON FOREIGN SERVER shop TO shop; GRANT CREATE ON SCHEMA public TO shop;
             SET ROLE shop; IMPORT FOREIGN SCHEMA public LIMIT TO (customers) FROM SERVER shop INTO public",
            self.way(0, ", fetch_size '10000'")
        ));
    }

    pub fn analyst(&self) -> Session {
        self.host.connect("postgres", "analyst")
    }

    pub fn there(&self) -> Session {
        self.trainer.connect("postgres", "shop")
    }

    /// Further servers of the host that lead to the trainer.
    #[track_caller]
    pub fn server(&self, name: &str, wrapper: &str, options: &str, user: &str) {
        self.host.connect("postgres", "postgres").exec(&format!(
            "CREATE SERVER {name} FOREIGN DATA WRAPPER {wrapper} OPTIONS ({options});
             GRANT USAGE ON FOREIGN SERVER {name} TO {user};
             CREATE USER MAPPING FOR {user} SERVER {name} OPTIONS (user 'shop', password 'trains')"
        ));
    }
}
