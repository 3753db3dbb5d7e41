//! What a limit policy may be, the ones that are built in, and the pure decisions around a take.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use statehold_core::{LimitPolicy, SLIDING_LIMIT_MAX};

/// Most bytes of a policy's or a class's name.
pub const POLICY_NAME_BYTES_MAX: usize = 64;
/// Most classes of one policy.
pub const CLASSES_MAX: usize = 16;
/// Most policies that one process knows.
pub const POLICIES_MAX: usize = 1_000;
/// The largest limit of a fixed window.
pub const FIXED_LIMIT_MAX: u32 = 1_000_000_000;
/// The largest burst of a token bucket.
pub const BURST_MAX: u32 = 1_000_000;
/// The shortest window of a sliding limit.
pub const SLIDING_WINDOW_MIN: Duration = Duration::from_secs(1);
/// The longest window of a sliding limit.
pub const SLIDING_WINDOW_MAX: Duration = Duration::from_hours(24);
/// The longest window of a fixed limit.
pub const FIXED_WINDOW_MAX: Duration = Duration::from_hours(31 * 24);
/// The longest time an empty token bucket may take to be full again.
pub const REFILL_MAX: Duration = Duration::from_hours(3_650 * 24);

/// How calls are admitted, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// An exact log of the last window.
    #[default]
    Sliding,
    /// The generic cell rate algorithm: a rate and a burst.
    TokenBucket,
    /// Windows counted from the epoch.
    Fixed,
}

impl Algorithm {
    /// The name in configuration and over HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::TokenBucket => "token_bucket",
            Self::Fixed => "fixed",
        }
    }
}

/// What a policy answers while its engine cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnUnavailable {
    /// The check fails: nobody passes.
    #[default]
    Closed,
    /// Calls pass, up to the policy's local guard.
    Open,
}

impl OnUnavailable {
    /// The name in configuration and over HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// A policy as somebody wrote it: nothing is checked yet, and what is none takes its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definition {
    /// How calls are admitted; sliding when none.
    pub algorithm: Option<Algorithm>,
    /// Units per window: `sliding` and `fixed`, which have no default for it.
    pub limit: Option<u32>,
    /// The window: `sliding` and `fixed`, which have no default for it. Whole milliseconds.
    pub window: Option<Duration>,
    /// Units per second: `token_bucket`; 1 when none.
    pub rate: Option<f64>,
    /// Units at once: `token_bucket`; 10 when none.
    pub burst: Option<u32>,
    /// Named overrides.
    pub classes: BTreeMap<Arc<str>, ClassDefinition>,
    /// What is answered while the engine cannot; closed when none.
    pub on_unavailable: Option<OnUnavailable>,
    /// Calls that one process lets pass in a window while the engine cannot answer; 10 × limit when none.
    pub local_guard: Option<u32>,
    /// Decide and count, never deny; false when none.
    pub shadow: Option<bool>,
}

/// A class's overrides; what is none is as in its policy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassDefinition {
    /// Units per window: `sliding` and `fixed`.
    pub limit: Option<u32>,
    /// Units per second: `token_bucket`.
    pub rate: Option<f64>,
    /// Units at once: `token_bucket`.
    pub burst: Option<u32>,
}

impl Definition {
    /// A sliding limit.
    pub fn sliding(limit: u32, window: Duration) -> Self {
        Self { limit: Some(limit), window: Some(window), ..Self::default() }
    }

    /// A fixed window.
    pub fn fixed(limit: u32, window: Duration) -> Self {
        Self { algorithm: Some(Algorithm::Fixed), ..Self::sliding(limit, window) }
    }

    /// A token bucket.
    pub fn token_bucket(rate: f64, burst: u32) -> Self {
        Self {
            algorithm: Some(Algorithm::TokenBucket),
            rate: Some(rate),
            burst: Some(burst),
            ..Self::default()
        }
    }

    /// The same with a class that overrides the limit.
    #[must_use]
    pub fn with_class(mut self, class: &str, limit: u32) -> Self {
        self.classes
            .insert(class.into(), ClassDefinition { limit: Some(limit), ..ClassDefinition::default() });
        self
    }

    /// The same, open while the engine cannot answer.
    #[must_use]
    pub fn open(self) -> Self {
        Self { on_unavailable: Some(OnUnavailable::Open), ..self }
    }

    /// The same, deciding and counting without ever denying.
    #[must_use]
    pub fn shadowed(self) -> Self {
        Self { shadow: Some(true), ..self }
    }

    /// This definition, with what it leaves out taken from `base`: how a built-in policy is redefined in part. A
    /// definition of another algorithm takes nothing of the limits or classes of `base`.
    #[must_use]
    pub fn over(self, base: &Self) -> Self {
        let same = self.algorithm.is_none_or(|mine| mine == base.algorithm.unwrap_or_default());
        let numbers = same.then_some(base);
        let mut classes = numbers.map(|base| base.classes.clone()).unwrap_or_default();
        classes.extend(self.classes);
        Self {
            algorithm: self.algorithm.or(base.algorithm),
            limit: self.limit.or_else(|| numbers?.limit),
            window: self.window.or_else(|| numbers?.window),
            rate: self.rate.or_else(|| numbers?.rate),
            burst: self.burst.or_else(|| numbers?.burst),
            classes,
            on_unavailable: self.on_unavailable.or(base.on_unavailable),
            local_guard: self.local_guard.or_else(|| numbers?.local_guard),
            shadow: self.shadow.or(base.shadow),
        }
    }
}

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    /// The policy.
    pub policy: Arc<str>,
    /// The class, where it is one's.
    pub class: Option<Arc<str>>,
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: PolicyProblem,
}

/// What is wrong with a field of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyProblem {
    /// The algorithm needs the field.
    Missing,
    /// The algorithm has no such field.
    NotOfThisAlgorithm,
    /// Not in the range that `legal` names.
    OutOfRange {
        /// What is legal.
        legal: &'static str,
    },
    /// The policy is built in and the product needs it.
    Indispensable,
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit policy `{}`", self.policy.escape_debug())?;
        if let Some(class) = &self.class {
            write!(f, ", class `{}`", class.escape_debug())?;
        }
        match self.problem {
            PolicyProblem::Missing => write!(f, ": `{}` is missing", self.field),
            PolicyProblem::NotOfThisAlgorithm => {
                write!(f, ": its algorithm has no `{}`", self.field)
            }
            PolicyProblem::OutOfRange { legal } => write!(f, ": `{}` must be {legal}", self.field),
            PolicyProblem::Indispensable => f.write_str(" is needed by the product and cannot be removed"),
        }
    }
}

impl std::error::Error for PolicyFault {}

/// A policy that is within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: Arc<str>,
    rule: LimitPolicy,
    classes: BTreeMap<Arc<str>, LimitPolicy>,
    on_unavailable: OnUnavailable,
    local_guard: Option<u32>,
    shadow: bool,
}

impl Policy {
    /// Checks a definition.
    ///
    /// # Errors
    /// Every fault that it has.
    pub fn new(name: &str, definition: &Definition) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = Faults { policy: name.into(), class: None, found: Vec::new() };
        faults.name("name", name);
        let rule = faults.rule(definition);
        if definition.classes.len() > CLASSES_MAX {
            faults.out_of_range("classes", "at most 16");
        }
        let mut classes = BTreeMap::new();
        for (class, overrides) in &definition.classes {
            faults.class = Some(Arc::clone(class));
            faults.name("class", class);
            let merged = overrides.over(definition);
            // A fault of the policy itself is told once, not again by each of its classes.
            if let Some(rule) = rule.and_then(|_| faults.rule(&merged)) {
                classes.insert(Arc::clone(class), rule);
            }
            faults.class = None;
        }
        if definition.local_guard == Some(0) {
            faults.out_of_range("local_guard", "at least 1");
        }
        match rule {
            Some(rule) if faults.found.is_empty() => Ok(Self {
                name: name.into(),
                rule,
                classes,
                on_unavailable: definition.on_unavailable.unwrap_or_default(),
                local_guard: definition.local_guard,
                shadow: definition.shadow.unwrap_or(false),
            }),
            _ => Err(faults.found),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How calls are admitted: of the policy itself, or of one of its classes. None for a class it does not have.
    pub fn rule(&self, class: Option<&str>) -> Option<LimitPolicy> {
        match class {
            None => Some(self.rule),
            Some(class) => self.classes.get(class).copied(),
        }
    }

    /// Its classes, in the order of their names.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &LimitPolicy)> {
        self.classes.iter()
    }

    /// What it answers while its engine cannot.
    pub fn on_unavailable(&self) -> OnUnavailable {
        self.on_unavailable
    }

    /// Whether it decides and counts without ever denying.
    pub fn shadow(&self) -> bool {
        self.shadow
    }

    /// Calls that one process lets pass under `rule` in one [`span`] while the engine cannot answer.
    pub fn guard_ceiling(&self, rule: &LimitPolicy) -> u64 {
        self.local_guard.map_or(u64::from(limit_of(rule)) * 10, u64::from)
    }
}

impl ClassDefinition {
    fn over(&self, policy: &Definition) -> Definition {
        Definition {
            algorithm: policy.algorithm,
            limit: self.limit.or(policy.limit),
            window: policy.window,
            rate: self.rate.or(policy.rate),
            burst: self.burst.or(policy.burst),
            ..Definition::default()
        }
    }
}

/// Collects the faults of one policy.
struct Faults {
    policy: Arc<str>,
    class: Option<Arc<str>>,
    found: Vec<PolicyFault>,
}

impl Faults {
    fn add(&mut self, field: &'static str, problem: PolicyProblem) {
        let (policy, class) = (Arc::clone(&self.policy), self.class.clone());
        self.found.push(PolicyFault { policy, class, field, problem });
    }

    fn out_of_range(&mut self, field: &'static str, legal: &'static str) {
        self.add(field, PolicyProblem::OutOfRange { legal });
    }

    fn name(&mut self, field: &'static str, name: &str) {
        if name.is_empty() || name.len() > POLICY_NAME_BYTES_MAX || name.bytes().any(|b| b.is_ascii_control())
        {
            self.out_of_range(field, "1 to 64 bytes without control characters");
        }
    }

    fn rule(&mut self, definition: &Definition) -> Option<LimitPolicy> {
        let faults_before = self.found.len();
        let rule = match definition.algorithm.unwrap_or_default() {
            Algorithm::Sliding => {
                let (limit, window) = self.window(definition)?;
                if !(1..=SLIDING_LIMIT_MAX).contains(&limit) {
                    self.out_of_range(
                        "limit",
                        "1 to 1000 for `sliding`; use `token_bucket` or `fixed` above",
                    );
                }
                if !(SLIDING_WINDOW_MIN..=SLIDING_WINDOW_MAX).contains(&window) {
                    self.out_of_range("window", "1s to 24h for `sliding`");
                }
                LimitPolicy::Sliding { limit, window }
            }
            Algorithm::Fixed => {
                let (limit, window) = self.window(definition)?;
                if !(1..=FIXED_LIMIT_MAX).contains(&limit) {
                    self.out_of_range("limit", "1 to 1000000000");
                }
                if !(Duration::from_millis(1)..=FIXED_WINDOW_MAX).contains(&window) {
                    self.out_of_range("window", "1ms to 31d");
                }
                LimitPolicy::Fixed { limit, window }
            }
            Algorithm::TokenBucket => self.bucket(definition)?,
        };
        (self.found.len() == faults_before).then_some(rule)
    }

    fn window(&mut self, definition: &Definition) -> Option<(u32, Duration)> {
        for (field, given) in [("rate", definition.rate.is_some()), ("burst", definition.burst.is_some())] {
            if given {
                self.add(field, PolicyProblem::NotOfThisAlgorithm);
            }
        }
        if definition.limit.is_none() {
            self.add("limit", PolicyProblem::Missing);
        }
        let Some(window) = definition.window else {
            self.add("window", PolicyProblem::Missing);
            return None;
        };
        if !window.as_nanos().is_multiple_of(1_000_000) {
            self.out_of_range("window", "whole milliseconds");
        }
        Some((definition.limit?, window))
    }

    fn bucket(&mut self, definition: &Definition) -> Option<LimitPolicy> {
        for (field, given) in [("limit", definition.limit.is_some()), ("window", definition.window.is_some())]
        {
            if given {
                self.add(field, PolicyProblem::NotOfThisAlgorithm);
            }
        }
        let (rate, burst) = (definition.rate.unwrap_or(1.0), definition.burst.unwrap_or(10));
        if !(1..=BURST_MAX).contains(&burst) {
            self.out_of_range("burst", "1 to 1000000");
        }
        let Some(interval) = interval_of(rate) else {
            self.out_of_range("rate", "above 0, at most 1000000000 per second");
            return None;
        };
        if interval.checked_mul(burst).is_none_or(|refill| refill > REFILL_MAX) {
            self.out_of_range("rate", "high enough to refill the burst within 3650d");
        }
        Some(LimitPolicy::TokenBucket { interval, burst })
    }
}

/// The time one unit takes to come back, in whole nanoseconds; none for a rate that has none.
fn interval_of(rate: f64) -> Option<Duration> {
    if !(rate > 0.0 && rate <= 1e9) {
        return None;
    }
    let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
    (!interval.is_zero()).then_some(interval)
}

/// The most that a call may cost under `rule`.
pub fn limit_of(rule: &LimitPolicy) -> u32 {
    match *rule {
        LimitPolicy::Sliding { limit, .. } | LimitPolicy::Fixed { limit, .. } => limit,
        LimitPolicy::TokenBucket { burst, .. } => burst,
    }
}

/// The time in which `rule` admits its limit anew: its window, or what an empty bucket takes to be full.
pub fn span(rule: &LimitPolicy) -> Duration {
    match *rule {
        LimitPolicy::Sliding { window, .. } | LimitPolicy::Fixed { window, .. } => window,
        LimitPolicy::TokenBucket { interval, burst } => interval.saturating_mul(burst),
    }
}

/// The algorithm of `rule`.
pub fn algorithm_of(rule: &LimitPolicy) -> Algorithm {
    match rule {
        LimitPolicy::Sliding { .. } => Algorithm::Sliding,
        LimitPolicy::Fixed { .. } => Algorithm::Fixed,
        LimitPolicy::TokenBucket { .. } => Algorithm::TokenBucket,
    }
}
