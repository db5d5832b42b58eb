//! What plain `sluice` prints: where to go from here.

use crate::output::CommandError;

const NEXT_STEPS: &str = "\
Sluice moves, translates and correlates telemetry. Four next steps:

  sudo sluice demo                    see kernel events on the traces of a small application
  sluice init sluice.yaml             write a commented configuration to start from
  sluice validate --config FILE       check any OpenTelemetry Collector file against this build
  sluice run --config FILE            run it

`sluice --help` shows all commands.
";

pub(crate) fn print() -> Result<(), CommandError> {
    crate::output::print(NEXT_STEPS)
}
