//! Rules made ready to scan with: one automaton for what is spelled out, one for what is announced, one
//! for what follows.
//!
//! Building takes a good part of a second and tens of megabytes, so it happens once, and every exchange
//! shares the result.

use std::sync::{Arc, OnceLock};

use model::{DataClass, DataClassError};
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::{PatternID, StateID};
use regex_automata::util::{start, syntax};

use crate::ahead::Ahead;
use crate::context::Context;
use crate::rule::{Around, Check, Rule, Shape};
use crate::runs::Runs;

/// What an automaton may weigh, in bytes.
const HEAVIEST: usize = 64 << 20;

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
    /// The automaton over all rules can't be built.
    #[error("the rules don't fit in an automaton of {HEAVIEST} bytes: {0}")]
    Automaton(String),
}

/// What to look for. Immutable, shared by every exchange.
pub struct Rules {
    pub(crate) list: Vec<Ready>,
    classes: Vec<DataClass>,
    pub(crate) spelled: Machine,
    pub(crate) announced: Machine,
    pub(crate) following: dense::DFA<Vec<u32>>,
    pub(crate) around: Option<ReadyAround>,
    pub(crate) ahead: Ahead,
    pub(crate) runs: Runs,
    max_hold: usize,
}

/// A rule, made ready.
pub(crate) struct Ready {
    pub(crate) name: &'static str,
    pub(crate) class: usize,
    source: &'static str,
    pub(crate) check: Check,
    pub(crate) context: Option<Context>,
    pub(crate) tail: Option<ReadyTail>,
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

    /// The length of the run that `window` ends with, from the first byte that may begin it.
    pub(crate) fn run_length(&self, window: &[u8]) -> usize {
        let is = |set: &[bool; 256], b: u8| set.get(usize::from(b)).copied().unwrap_or(false);
        let run = window.iter().rev().take_while(|b| is(&self.run, **b)).count();
        let skipped = window.iter().skip(window.len() - run).take_while(|b| !is(&self.first, **b)).count();
        run - skipped
    }
}

/// An automaton over several rules' patterns.
pub(crate) struct Machine {
    pub(crate) dfa: dense::DFA<Vec<u32>>,
    /// The rule of each pattern.
    pub(crate) rules: Vec<usize>,
    /// The state to begin in after each byte, and at the beginning of a text.
    starts: Vec<StateID>,
}

impl Machine {
    fn build(patterns: &[(usize, &str)]) -> Result<Self, MaskError> {
        let dfa = automaton(&patterns.iter().map(|(_, p)| *p).collect::<Vec<_>>(), false)?;
        let rules = patterns.iter().map(|(rule, _)| *rule).collect();
        let starts =
            (0..=256).map(|prev| start_of(&dfa, Anchored::Yes, prev)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { dfa, rules, starts })
    }

    /// The state to begin in after `prev`, 256 meaning the beginning of the text.
    pub(crate) fn start(&self, prev: usize) -> StateID {
        self.starts.get(prev).copied().unwrap_or_default()
    }
}

/// Looks behind a possible start: the byte before it, or the beginning of the text.
pub(crate) const BEGINNING: usize = 256;

fn automaton(patterns: &[&str], per_pattern: bool) -> Result<dense::DFA<Vec<u32>>, MaskError> {
    dense::Builder::new()
        .configure(
            dense::Config::new()
                .match_kind(regex_automata::MatchKind::All)
                .start_kind(StartKind::Anchored)
                .starts_for_each_pattern(per_pattern)
                .accelerate(false)
                .dfa_size_limit(Some(HEAVIEST))
                .determinize_size_limit(Some(4 * HEAVIEST)),
        )
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(thompson::Config::new().utf8(false))
        .build_many(patterns)
        .map_err(|e| MaskError::Automaton(e.to_string()))
}

pub(crate) fn start_of(
    dfa: &dense::DFA<Vec<u32>>,
    anchored: Anchored,
    prev: usize,
) -> Result<StateID, MaskError> {
    let config = start::Config::new().anchored(anchored).look_behind(u8::try_from(prev).ok());
    dfa.start_state(&config).map_err(|e| MaskError::Automaton(e.to_string()))
}

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
            parts.take(index, rule).map_err(|fault| MaskError::Rule { rule: rule.name.to_owned(), fault })?;
        }
        let spelled = Machine::build(&parts.spelled)?;
        let announced = Machine::build(&parts.announced)?;
        let following = automaton(&parts.following, true)?;
        let ahead = Ahead::build(&spelled.dfa, &spelled.starts)?;
        let runs = Runs::new(&announced);
        Ok(Self {
            list: parts.list,
            classes: parts.classes,
            spelled,
            announced,
            following,
            around: parts.around,
            ahead,
            runs,
            max_hold: parts.longest,
        })
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

    /// Every rule's name, class and who publishes the format, in order of precedence.
    pub fn catalogue(&self) -> impl Iterator<Item = (&'static str, &DataClass, &'static str)> {
        self.list.iter().filter_map(|rule| Some((rule.name, self.classes.get(rule.class)?, rule.source)))
    }

    /// The weight of the automata in bytes.
    pub fn memory(&self) -> usize {
        self.ahead.memory()
            + self.spelled.dfa.memory_usage()
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
    announced: Vec<(usize, &'a str)>,
    following: Vec<&'a str>,
    around: Option<ReadyAround>,
    longest: usize,
}

impl<'a> Parts<'a> {
    fn take(&mut self, index: usize, rule: &'a Rule) -> Result<(), String> {
        if self.list.iter().any(|known| known.name == rule.name) {
            return Err("its name is taken".to_owned());
        }
        let class = DataClass::new(rule.class).map_err(|e: DataClassError| e.to_string())?;
        let class = self.classes.iter().position(|c| *c == class).unwrap_or_else(|| {
            self.classes.push(class);
            self.classes.len() - 1
        });
        let mut context = None;
        let (pattern, before) = match rule.shape {
            Shape::Spelled(pattern) => {
                self.spelled.push((index, pattern));
                (pattern, 0)
            }
            Shape::After(announced, pattern) => {
                context = Some(announced);
                self.announced.push((index, pattern));
                (pattern, 0)
            }
            Shape::Around(spec) => {
                let right = self.follow(spec.right)?;
                if self.around.replace(ReadyAround::new(index, spec, right)).is_some() {
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
            name: rule.name,
            class,
            source: rule.source,
            check: rule.check,
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
