//! nginx with one worker and a folder of its own.

use std::{fs, path::Path};

use crate::{
    Outcome,
    process::{Process, tied},
};

/// Starts it; `http` is what stands in that block: its server, which answers `/status`, and its access log.
pub(super) fn start(folder: &Path, http: &str) -> Outcome<Process> {
    let path = folder.join("nginx.conf");
    let place = folder.display();
    fs::write(
        &path,
        format!(
            "worker_processes 1; daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/nginx.err;
             events {{}}
             http {{
               keepalive_requests 100000000;
               client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
               uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
               {http}
             }}"
        ),
    )?;
    let mut command = tied(Path::new("nginx"));
    Process::start(command.arg("-c").arg(path), &folder.join("nginx.log"))
}
