//! The words between a scheduler and one core, and what they mean.
//!
//! The scheduler writes a token into the dispatch register; the core answers in the condition register with the token it started (ACK) or ended
//! (FIN). One dispatch runs and one may be pre-loaded behind it. Values as on the public chip: the token has 31 bits and bit 31 of the condition says
//! FIN.

/// The number of one dispatch to one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Token(u32);

impl Token {
    /// What the dispatch register holds while there is nothing to do.
    pub const IDLE: u32 = 0x7FFF_FFFD;
    /// What tells the core to leave.
    pub const EXIT: u32 = 0x7FFF_FFF0;
    /// The first value that is no token.
    const RESERVED: u32 = 0x7FFF_FFF0;

    /// The first token of a core.
    pub const FIRST: Token = Token(0);

    /// A token to start from, for tests of the wrap; `value` must be below the reserved values.
    pub const fn starting_at(value: u32) -> Option<Token> {
        if value < Self::RESERVED { Some(Token(value)) } else { None }
    }

    /// The token a register value stands for, if it is one.
    #[inline]
    pub const fn from_register(value: u32) -> Option<Token> {
        Token::starting_at(value)
    }

    /// The token of the next dispatch. The reserved values are skipped by an even step, so that parity keeps alternating.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Token {
        if self.0 + 1 < Self::RESERVED { Token(self.0 + 1) } else { Token(0) }
    }

    /// Which of the core's two payload places belongs to the token.
    #[inline]
    pub const fn parity(self) -> usize {
        (self.0 & 1) as usize
    }

    /// The value the register carries.
    #[inline]
    pub const fn to_register(self) -> u32 {
        self.0
    }
}

const _: () = assert!(Token::RESERVED.is_multiple_of(2), "the wrap to 0 must keep parity alternating");

/// What a core says in its condition register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has started the dispatch with this token.
    Started(Token),
    /// It has ended the dispatch with this token.
    Finished(Token),
    /// It is up and has nothing to do.
    Idle,
    /// It has left.
    Exited,
    /// It has not answered yet, or the value means nothing.
    Unknown,
}

impl Condition {
    const FINISHED: u32 = 1 << 31;
    const IDLE: u32 = Self::FINISHED | 0x7FFF_FFFF;
    const EXITED: u32 = Self::FINISHED | 0x7FFF_FFFE;
    const SILENT: u32 = 0x7FFF_FFFF;

    /// What the register's value means.
    #[inline]
    pub const fn from_register(value: u32) -> Condition {
        match value {
            Self::IDLE => Condition::Idle,
            Self::EXITED => Condition::Exited,
            _ => match Token::from_register(value & !Self::FINISHED) {
                Some(token) if value & Self::FINISHED != 0 => Condition::Finished(token),
                Some(token) => Condition::Started(token),
                None => Condition::Unknown,
            },
        }
    }

    /// The register's value.
    #[inline]
    pub const fn to_register(self) -> u32 {
        match self {
            Condition::Started(token) => token.to_register(),
            Condition::Finished(token) => token.to_register() | Self::FINISHED,
            Condition::Idle => Self::IDLE,
            Condition::Exited => Self::EXITED,
            Condition::Unknown => Self::SILENT,
        }
    }
}

/// What a core's answer means for the dispatches in flight to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Transition {
    /// Nothing new, or a token that is not in flight.
    None,
    /// The running dispatch ended and nothing is pre-loaded: the core is idle.
    RunningEnded,
    /// The running dispatch ended and the pre-loaded one runs: its place is free.
    Promoted,
    /// Both ended: the core is idle.
    BothEnded,
    /// The running dispatch has started: the place for a pre-loaded one may be used.
    Started,
}

/// The dispatches in flight to one core, as its owner knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct InFlight {
    /// The dispatch that the core runs or is about to.
    pub running: Option<Token>,
    /// The dispatch pre-loaded behind it.
    pub preloaded: Option<Token>,
    /// Whether the core has said that it started the running one.
    pub started: bool,
}

impl InFlight {
    /// Whether a dispatch may be pre-loaded: something runs, has started, and nothing waits behind it.
    #[inline]
    pub const fn can_preload(&self) -> bool {
        let started = self.started || cfg!(prewire_mutation = "preload_before_start");
        self.running.is_some() && started && self.preloaded.is_none()
    }

    /// Takes in a new dispatch.
    ///
    /// # Panics
    /// In debug builds, if both places are taken.
    #[inline]
    pub fn dispatched(&mut self, token: Token) {
        if self.running.is_none() {
            self.running = Some(token);
            self.started = false;
        } else {
            debug_assert!(self.preloaded.is_none(), "a third dispatch to one core");
            self.preloaded = Some(token);
        }
    }

    /// The dispatch that was given last.
    #[inline]
    pub const fn newest(&self) -> Option<Token> {
        if self.preloaded.is_some() { self.preloaded } else { self.running }
    }

    /// Takes in that the newest dispatch was taken back before the core started it.
    #[inline]
    pub fn revoked(&mut self) {
        if self.preloaded.take().is_none() {
            *self = InFlight::default();
        }
    }

    /// Takes in the core's answer and says what it means.
    ///
    /// A FIN of the running dispatch with another one pre-loaded says nothing yet: the core will at once start the next and say so, and by then
    /// both facts are known in one read.
    #[inline]
    pub fn observe(&mut self, condition: Condition) -> Transition {
        match condition {
            Condition::Finished(token) if self.preloaded == Some(token) => {
                *self = InFlight::default();
                Transition::BothEnded
            }
            Condition::Started(token) if self.preloaded == Some(token) => {
                *self = InFlight { running: Some(token), preloaded: None, started: true };
                Transition::Promoted
            }
            Condition::Finished(token)
                if self.running == Some(token)
                    && (self.preloaded.is_none() || cfg!(prewire_mutation = "end_hides_preloaded")) =>
            {
                *self = InFlight::default();
                Transition::RunningEnded
            }
            Condition::Started(token) if self.running == Some(token) && !self.started => {
                self.started = true;
                Transition::Started
            }
            _ => Transition::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: u32) -> Token {
        Token::starting_at(value).unwrap()
    }

    /// Claims CHIP-075.
    #[test]
    fn every_answer_of_a_core_has_its_meaning() {
        let one = InFlight { running: Some(token(4)), preloaded: None, started: false };
        let two = InFlight { running: Some(token(4)), preloaded: Some(token(5)), started: true };
        let after = |mut state: InFlight, condition| (state.observe(condition), state);

        assert_eq!(after(two, Condition::Finished(token(5))), (Transition::BothEnded, InFlight::default()));
        let promoted = InFlight { running: Some(token(5)), preloaded: None, started: true };
        assert_eq!(after(two, Condition::Started(token(5))), (Transition::Promoted, promoted));
        assert_eq!(after(one, Condition::Finished(token(4))), (Transition::RunningEnded, InFlight::default()));
        assert_eq!(
            after(two, Condition::Finished(token(4))),
            (Transition::None, two),
            "the ACK of the next one will tell"
        );
        let started = InFlight { started: true, ..one };
        assert_eq!(after(one, Condition::Started(token(4))), (Transition::Started, started));
        assert!(started.can_preload() && !one.can_preload());
        for other in [
            Condition::Started(token(9)),
            Condition::Finished(token(3)),
            Condition::Idle,
            Condition::Exited,
            Condition::Unknown,
        ] {
            assert_eq!(after(two, other), (Transition::None, two), "{other:?}");
        }
    }

    #[test]
    fn the_newest_dispatch_is_the_one_that_is_taken_back() {
        let mut state = InFlight { running: Some(token(4)), preloaded: Some(token(5)), started: true };
        assert_eq!(state.newest(), Some(token(5)));
        state.revoked();
        assert_eq!(state, InFlight { running: Some(token(4)), preloaded: None, started: true });
        assert!(state.can_preload(), "its place is free");
        assert_eq!(state.newest(), Some(token(4)));
        state.revoked();
        assert_eq!((state, state.newest()), (InFlight::default(), None));
    }

    #[test]
    fn tokens_skip_the_reserved_values_and_keep_parity() {
        let mut token = token(0x7FFF_FFE0);
        for _ in 0..64 {
            let next = token.next();
            assert_ne!(next.parity(), token.parity());
            assert!(next.to_register() < Token::EXIT);
            token = next;
        }
        assert_eq!(Token::from_register(Token::IDLE), None);
    }

    #[test]
    fn a_condition_survives_its_register() {
        for condition in [
            Condition::Started(token(0)),
            Condition::Finished(token(0x7FFF_FFEF)),
            Condition::Idle,
            Condition::Exited,
            Condition::Unknown,
        ] {
            assert_eq!(Condition::from_register(condition.to_register()), condition);
        }
    }
}
