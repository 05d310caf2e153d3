//! Rules made ready to scan with: one automaton for what is spelled out, one for what is announced, one
//! for what follows.
//!
//! Building takes a good part of a second and tens of megabytes, so it happens once, and every exchange
//! shares the result.

use std::sync::{Arc, OnceLock};

use model::{DataClass, DataClassError};
use regex_automata::dfa::dense;
use regex_automata::util::primitives::PatternID;

use crate::ahead::Ahead;
use crate::automaton::{automaton, paths};
use crate::check::entropy;
use crate::context::Context;
use crate::few;
use crate::machine::Machine;
use crate::mark::{Mark, Marks};
use crate::near::{Gathering, Lists, Near};
use crate::rule::{Around, Behind, Check, Rule, Shape};
use crate::runs::Runs;
use crate::sieve::Sieve;

/// What an automaton may weigh, in bytes.
pub(crate) const HEAVIEST: usize = 64 << 20;

/// Why rules can't be used. A fault of the build, never of a text.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// Two rules by one name, or a class or a shape that is none.
    #[error("the rule `{rule}` can't be used: {fault}")]
    Rule {
        /// Its name.
        rule: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A rule of a team's own that can't be used.
    #[error("{place}: the masking rule `{rule}` can't be used: {fault}")]
    Own {
        /// Its name.
        rule: String,
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The automaton over all rules can't be built.
    #[error("the rules don't fit in an automaton of {HEAVIEST} bytes: {0}")]
    Automaton(String),
}

/// What to look for. Immutable, shared by every exchange.
pub struct Rules {
    pub(crate) list: Vec<Ready>,
    classes: Vec<DataClass>,
    /// What is spelled out and needs no words.
    pub(crate) spelled: Machine,
    /// What is spelled out, and words must stand before it.
    pub(crate) worded: Machine,
    pub(crate) announced: Machine,
    pub(crate) following: dense::DFA<Vec<u32>>,
    pub(crate) around: Option<ReadyAround>,
    pub(crate) ahead: Ahead,
    /// Of what is spelled out and needs no words.
    pub(crate) sieve: Sieve,
    pub(crate) runs: Runs,
    /// What bytes are that come by a few.
    pub(crate) few: few::Kinds,
    pub(crate) near: Near,
    /// Lists of one rule only, and what must stand behind the beginning of its values.
    pub(crate) behind: Vec<(Lists, Behind)>,
    max_hold: usize,
    /// Which rules' values show their end.
    show_end: Vec<bool>,
}

/// What is told of a rule.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Entry<'a> {
    /// Its name in findings.
    pub name: &'a str,
    /// The class of its finds.
    pub class: &'a DataClass,
    /// What a text of its shape must pass to be a value.
    pub check: &'static str,
    /// Whether words must stand before the value.
    pub words: bool,
    /// Whether a value is masked as soon as its head is known, however long it goes on.
    pub unbounded: bool,
    /// Who publishes the format.
    pub source: &'a str,
}

/// A rule, made ready.
pub(crate) struct Ready {
    pub(crate) name: Arc<str>,
    pub(crate) class: usize,
    pub(crate) source: Arc<str>,
    pub(crate) check: Check,
    pub(crate) near: Lists,
    entropy: f32,
    pub(crate) context: Option<Context>,
    pub(crate) tail: Option<ReadyTail>,
}

impl Ready {
    /// Whether a value varies as much as it must.
    pub(crate) fn varies(&self, value: Option<&[u8]>) -> bool {
        self.entropy <= 0.0 || value.is_some_and(|value| entropy(value) >= self.entropy)
    }
}

/// A tail, as its pattern in [`Rules::following`].
#[derive(Clone, Copy)]
pub(crate) struct ReadyTail {
    pub(crate) pattern: PatternID,
    pub(crate) cap: usize,
}

/// The rule around a sign, with the pattern of its right side in [`Rules::following`].
pub(crate) struct ReadyAround {
    pub(crate) rule: usize,
    pub(crate) sign: u8,
    pub(crate) longest: usize,
    pub(crate) right: PatternID,
    /// Which bytes may stand in the run before the sign.
    run: [bool; 256],
    /// Which may begin it.
    first: [bool; 256],
}

impl ReadyAround {
    fn new(rule: usize, spec: Around, right: PatternID) -> Self {
        let (mut run, mut first) = ([false; 256], [false; 256]);
        for (byte, (runs, begins)) in (0..=255).zip(run.iter_mut().zip(first.iter_mut())) {
            (*runs, *begins) = ((spec.run)(byte), (spec.first)(byte));
        }
        Self { rule, sign: spec.sign, longest: spec.longest, right, run, first }
    }

    /// Whether this byte may stand in a run, and begin one.
    pub(crate) fn holds(&self, byte: u8) -> [bool; 2] {
        [&self.run, &self.first].map(|set| set.get(usize::from(byte)).copied().unwrap_or(false))
    }

    /// The length of the run that `window` ends with, from the first byte that may begin it.
    pub(crate) fn run_length(&self, window: &[u8]) -> usize {
        let is = |set: &[bool; 256], b: u8| set.get(usize::from(b)).copied().unwrap_or(false);
        let run = window.iter().rev().take_while(|b| is(&self.run, **b)).count();
        let skipped = window.iter().skip(window.len() - run).take_while(|b| !is(&self.first, **b)).count();
        run - skipped
    }
}

/// Looks behind a possible start: the byte before it, or the beginning of the text.
pub(crate) const BEGINNING: usize = 256;

impl Rules {
    /// The rules that ship with Portcullis. Built on first use, then shared.
    ///
    /// # Errors
    /// [`MaskError`] when they can't be built: the gateway must not start.
    pub fn standard() -> Result<Arc<Self>, MaskError> {
        static BUILT: OnceLock<Arc<Rules>> = OnceLock::new();
        if let Some(rules) = BUILT.get() {
            return Ok(rules.clone());
        }
        let rules = Arc::new(Self::build(&crate::catalogue::standard())?);
        Ok(BUILT.get_or_init(|| rules).clone())
    }

    pub(crate) fn build(rules: &[Rule]) -> Result<Self, MaskError> {
        let mut parts = Parts::default();
        for (index, rule) in rules.iter().enumerate() {
            parts
                .take(index, rule)
                .map_err(|fault| MaskError::Rule { rule: rule.name.clone().into_owned(), fault })?;
        }
        let read = |patterns: &[(usize, &str)]| paths(&patterns.iter().map(|(_, p)| *p).collect::<Vec<_>>());
        let (spelled, worded) = (read(&parts.spelled)?, read(&parts.worded)?);
        let ahead = Ahead::build([&spelled, &worded]);
        let sieve = Sieve::build(&spelled);
        let list = &parts.list;
        let (spelled, worded) = std::thread::scope(|scope| {
            let spelled = scope.spawn(|| Machine::build(&parts.spelled, &spelled, list));
            let worded = Machine::build(&parts.worded, &worded, list);
            let fault = |_| MaskError::Automaton("its thread failed".to_owned());
            (spelled.join().map_err(fault).flatten(), worded)
        });
        let (spelled, worded) = (spelled?, worded?);
        let announced = Machine::build(&parts.announced, &read(&parts.announced)?, list)?;
        let following = automaton(&paths(&parts.following)?, true)?;
        let runs = Runs::new(&announced);
        let few = runs.few(parts.around.as_ref());
        let alone = |near: Lists| parts.list.iter().filter(|rule| rule.near == near).count() == 1;
        let behind = parts.list.iter().filter(|rule| rule.near != 0 && alone(rule.near));
        let behind = behind.filter_map(|rule| Some((rule.near, rule.check.behind?))).collect();
        Ok(Self {
            list: parts.list,
            classes: parts.classes,
            spelled,
            worded,
            announced,
            following,
            around: parts.around,
            ahead,
            sieve,
            runs,
            few,
            near: parts.near.build()?,
            behind,
            max_hold: parts.longest,
            show_end: Vec::new(),
        })
    }

    /// Takes what is said of the classes' marks. The end of a value without a longest form is not known
    /// when its placeholder goes out, so it is never shown.
    pub(crate) fn marked(mut self, marks: &Marks) -> Self {
        let partial = |class: &DataClass| marks.of(class) == Mark::Partial;
        let partial: Vec<bool> = self.classes.iter().map(partial).collect();
        let shows = |rule: &Ready| rule.tail.is_none() && partial.get(rule.class) == Some(&true);
        self.show_end = self.list.iter().map(shows).collect();
        self
    }

    /// Whether the end of a value that this rule finds is shown in its placeholder.
    pub(crate) fn shows_end(&self, rule: usize) -> bool {
        self.show_end.get(rule).copied().unwrap_or(false)
    }

    /// What a rule takes by itself: states, bytes, and the most bytes it holds.
    pub(crate) fn weigh(rule: &Rule) -> Result<(usize, usize, usize), MaskError> {
        let pattern = rule.shape.pattern();
        let dfa = paths(&[pattern]).and_then(|paths| automaton(&paths, false)).map_err(|e| match e {
            MaskError::Automaton(why) => MaskError::Automaton(format!("by itself it does not fit: {why}")),
            other => other,
        })?;
        let bytes = dfa.memory_usage();
        let states = bytes / (dfa.stride() * 4);
        let hold = longest(pattern).ok().flatten().unwrap_or(0) + 1;
        Ok((states, bytes, hold))
    }

    /// The most bytes of decoded text that a lane ever holds back between two pushes. (Written as JSON
    /// escapes they may be up to six times as many raw bytes.)
    pub fn max_hold(&self) -> usize {
        self.max_hold
    }

    /// The classes that the rules find, each once, in order of the rules.
    pub fn classes(&self) -> &[DataClass] {
        &self.classes
    }

    /// Every rule, in order of precedence.
    pub fn catalogue(&self) -> impl Iterator<Item = Entry<'_>> {
        self.list.iter().filter_map(|rule| {
            Some(Entry {
                name: &rule.name,
                class: self.classes.get(rule.class)?,
                check: rule.check.asks,
                words: rule.near != 0 || rule.context.is_some_and(|c| c != Context::Long),
                unbounded: rule.tail.is_some(),
                source: &rule.source,
            })
        })
    }

    /// The weight of the automata in bytes.
    pub fn memory(&self) -> usize {
        self.ahead.memory()
            + self.sieve.memory()
            + self.near.memory()
            + self.spelled.dfa.memory_usage()
            + self.worded.dfa.memory_usage()
            + self.announced.dfa.memory_usage()
            + self.following.memory_usage()
    }

    /// The class of a rule's finds.
    pub(crate) fn class(&self, rule: usize) -> Option<&DataClass> {
        self.classes.get(self.list.get(rule)?.class)
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rules({} rules, {} bytes)", self.list.len(), self.memory())
    }
}

/// Rules on their way into automata.
#[derive(Default)]
struct Parts<'a> {
    list: Vec<Ready>,
    classes: Vec<DataClass>,
    spelled: Vec<(usize, &'a str)>,
    worded: Vec<(usize, &'a str)>,
    announced: Vec<(usize, &'a str)>,
    following: Vec<&'a str>,
    around: Option<ReadyAround>,
    near: Gathering,
    longest: usize,
}

impl<'a> Parts<'a> {
    fn take(&mut self, index: usize, rule: &'a Rule) -> Result<(), String> {
        if self.list.iter().any(|known| *known.name == *rule.name) {
            return Err("its name is taken".to_owned());
        }
        let class = DataClass::new(&rule.class).map_err(|e: DataClassError| e.to_string())?;
        let class = self.classes.iter().position(|c| *c == class).unwrap_or_else(|| {
            self.classes.push(class);
            self.classes.len() - 1
        });
        let near = self.near.bit(&rule.near)?;
        let mut context = None;
        let (pattern, before) = match &rule.shape {
            Shape::Spelled(pattern) => {
                let machine = if near == 0 { &mut self.spelled } else { &mut self.worded };
                machine.push((index, pattern));
                (&**pattern, 0)
            }
            Shape::After(announced, pattern) => {
                context = Some(*announced);
                self.announced.push((index, pattern));
                (&**pattern, 0)
            }
            Shape::Around(spec) => {
                let right = self.follow(spec.right)?;
                if self.around.replace(ReadyAround::new(index, *spec, right)).is_some() {
                    return Err("there is another rule around a sign".to_owned());
                }
                (spec.right, spec.longest)
            }
        };
        // One byte more than the longest match: only the next byte says that it ended.
        self.longest =
            self.longest.max(before + longest(pattern)?.ok_or("its shape has no longest match")? + 1);
        let tail = match rule.tail {
            Some(tail) => Some(ReadyTail { pattern: self.follow(tail.pattern)?, cap: tail.cap }),
            None => None,
        };
        self.list.push(Ready {
            name: (*rule.name).into(),
            class,
            source: (*rule.source).into(),
            check: rule.check,
            near,
            entropy: rule.entropy,
            context,
            tail,
        });
        Ok(())
    }

    /// The number of `pattern` among those that follow.
    fn follow(&mut self, pattern: &'a str) -> Result<PatternID, String> {
        let at = self.following.iter().position(|p| *p == pattern).unwrap_or_else(|| {
            self.following.push(pattern);
            self.following.len() - 1
        });
        PatternID::new(at).map_err(|e| e.to_string())
    }
}

/// How many bytes the longest match of `pattern` has, if there is a longest.
fn longest(pattern: &str) -> Result<Option<usize>, String> {
    let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    Ok(hir.map_err(|e| e.to_string())?.properties().maximum_len())
}
