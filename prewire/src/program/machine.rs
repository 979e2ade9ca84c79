//! The options that say what to run on: chip, engine, threads.

use super::exit::Failure;
use prewire::{Builder, Chip, Engine, Runtime};

/// What to run on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    pub(super) chip: Chip,
    pub(super) engine: Engine,
    pub(super) threads: i64,
    pub(super) clusters: Option<u16>,
    /// What decides the order of things in virtual time.
    pub(super) seed: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Machine { chip: Chip::A2a3, engine: Engine::Inline, threads: 0, clusters: None, seed: 0 }
    }
}

/// The engines by the names that users give them.
const ENGINES: [(&str, Engine); 4] = [
    ("inline", Engine::Inline),
    ("inline-only", Engine::InlineOnly),
    ("threads", Engine::Threads),
    ("virtual", Engine::Virtual { seed: 0 }),
];

impl Machine {
    /// Takes an option if it is one of these; says whether it was.
    pub(super) fn take(&mut self, option: &str, parser: &mut lexopt::Parser) -> Result<bool, Failure> {
        match option {
            "platform" => {
                let value = text(option, parser)?;
                self.chip = value.parse().map_err(|error| Failure::Usage(format!("--platform {value}: {error}")))?;
            }
            "engine" => {
                let value = text(option, parser)?;
                let engine = ENGINES.iter().find(|(name, _)| *name == value);
                let names = ENGINES.map(|(name, _)| name).join(", ");
                let unknown = || Failure::Usage(format!("--engine {value}: unknown; there are {names}"));
                self.engine = engine.ok_or_else(unknown)?.1;
            }
            "threads" => self.threads = number(option, parser)?,
            "schedulers" => self.threads = number::<i64>(option, parser)?.saturating_add(1),
            "clusters" => self.clusters = Some(number(option, parser)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn is_virtual(&self) -> bool {
        matches!(self.engine, Engine::Virtual { .. })
    }

    pub(super) fn builder(&self) -> Builder {
        let engine = if self.is_virtual() { Engine::Virtual { seed: self.seed } } else { self.engine };
        let builder = Runtime::builder().platform(self.chip).engine(engine).threads(self.threads);
        match self.clusters {
            Some(clusters) => builder.clusters(clusters),
            None => builder,
        }
    }

    /// What is run on, for people.
    pub(super) fn description(&self, runtime: &Runtime) -> String {
        let chip = runtime.chip();
        let engine = ENGINES.iter().find(|(_, engine)| *engine == self.engine).map_or("", |(name, _)| name);
        let (cubes, vectors) = (chip.cube_cores(), chip.vector_cores());
        let seed = if self.is_virtual() { format!(", seed {}", self.seed) } else { String::new() };
        format!(
            "{}: {cubes} AIC and {vectors} AIV cores in {} clusters, simulated; engine {engine}{seed}",
            chip.name, chip.clusters
        )
    }
}

/// The value of an option as text.
pub(super) fn text(option: &str, parser: &mut lexopt::Parser) -> Result<String, Failure> {
    let value = parser.value()?;
    value.into_string().map_err(|value| Failure::Usage(format!("--{option} {}: not UTF-8", value.to_string_lossy())))
}

/// The value of an option as a number.
pub(super) fn number<N: std::str::FromStr<Err: std::fmt::Display>>(
    option: &str,
    parser: &mut lexopt::Parser,
) -> Result<N, Failure> {
    let value = text(option, parser)?;
    value.parse().map_err(|error| Failure::Usage(format!("--{option} {value}: {error}; it takes a number")))
}
