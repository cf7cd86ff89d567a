//! Admission: whether a request is let in, decided in one round trip.
//!
//! Credential and limits are asked about together, so a revocation holds at once and a refused
//! request uses up nothing. What is known of a caller in memory, or stated in a token, may be old:
//! the same call compares the epoch, and only then is the user read anew.
//!
//! Nothing in here knows HTTP; [`crate::web`] stands in front of it.

mod charge;
mod counted;
mod directory;
mod ladder;
mod months;
mod refusals;
mod request;
mod rereads;
mod setup;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use self::counted::{Counted, note_let_in};
use self::directory::Directory;
use self::ladder::{CountedBy, Ladder, Outcome};
use self::rereads::Rereads;
use crate::auth::{
    ApiKey, ApiKeyRecord, Claims, EmailKey, KeyState, Principal, Scope, ScopeSet, Tier, User,
};
use crate::clock::{Clock, Timestamp};
use crate::config::UserTables;
use crate::ids::{KeyId, SessionId, UserId};
use crate::limits::plan::{self, TierLimit};
use crate::limits::policy::{OnOutage, Policy};
use crate::limits::{Ask, Check, LimitReport, Proof, Reading, Subject, Verdict};
use crate::policy_source::PolicySource;
use crate::stores::{DynamoDbEngine, EngineError, StoreError, UserStore, ValkeyEngine, ValkeyLink};

pub use charge::{Admitted, Charge};
pub use directory::KeyHolder;
pub use months::Unspent;
pub use refusals::Refusals;
pub use request::{LetIn, RequestNotes, notes};
pub use setup::{AdmissionParts, SetupError};

/// How long a credential that a store has confirmed is taken while no store answers.
const CONFIRMED_FOR: Duration = Duration::from_secs(30);
/// How many confirmed credentials are remembered.
const MAX_CONFIRMED: u64 = 50_000;

/// How long an engine may take.
#[derive(Clone, Copy, Debug)]
pub struct Budgets {
    /// A command on a live connection to Valkey.
    pub valkey: Duration,
    /// A call to DynamoDB.
    pub dynamodb: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            valkey: Duration::from_millis(50),
            dynamodb: Duration::from_millis(250),
        }
    }
}

/// What is away, as far as this process has noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Degraded {
    pub valkey: bool,
    pub dynamodb: bool,
    /// A change was made that Valkey has not been told of: it holds within a minute there.
    pub revocation: bool,
}

impl Degraded {
    /// The names of what is away.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.valkey, "valkey"),
            (self.dynamodb, "dynamodb"),
            (self.revocation, "revocation"),
        ];
        all.into_iter()
            .filter_map(|(is_so, name)| is_so.then_some(name))
    }
}

/// What somebody calls with.
#[derive(Clone, Debug)]
pub enum Credential {
    Session(SessionId),
    Key(Arc<ApiKeyRecord>),
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    pub credential: Credential,
    /// What the policy wants a verified address for, while the caller has none.
    withheld: ScopeSet,
}

impl Caller {
    pub fn id(&self) -> UserId {
        self.principal.id
    }

    /// What the caller's roles hold, whatever they call with.
    pub fn held(&self) -> ScopeSet {
        self.principal.scopes()
    }

    /// What the credential may do.
    pub fn scopes(&self) -> ScopeSet {
        let scopes = match &self.credential {
            Credential::Session(_) => self.held(),
            Credential::Key(key) => key.effective_scopes(self.held()),
        };
        scopes.difference(self.withheld)
    }

    /// Whether only the caller's unverified address stands in the way of a scope.
    pub fn is_withheld(&self, scope: Scope) -> bool {
        self.withheld.contains(scope)
    }

    pub fn key(&self) -> Option<&ApiKeyRecord> {
        match &self.credential {
            Credential::Session(_) => None,
            Credential::Key(key) => Some(key),
        }
    }

    /// The session that is called from; a key is called from none.
    pub fn session(&self) -> Option<SessionId> {
        match &self.credential {
            Credential::Session(session) => Some(*session),
            Credential::Key(_) => None,
        }
    }
}

/// Why somebody was not let in.
#[derive(Debug)]
pub enum Denied {
    /// A limit is used up.
    Limited(LimitReport),
    /// One subject asks more than its item can take.
    Throttled,
    /// The credential is not good. The request was counted against its address.
    Unauthenticated,
    /// The key is good, but not from this address.
    IpNotAllowed(LimitReport),
    /// No store answers, and this credential has not been confirmed lately.
    AuthUnavailable,
    /// No store answers, and the class lets nothing pass.
    Unavailable,
    /// A read that had to be made failed.
    Failed(StoreError),
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            Self::AuthUnavailable
        } else {
            Self::Failed(error)
        }
    }
}

impl From<EngineError> for Denied {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Throttled => Self::Throttled,
            EngineError::Away(error) if error.is_transient() => Self::Unavailable,
            EngineError::Away(error) => Self::Failed(error),
        }
    }
}

/// What a credential that is to be let in is made of.
pub enum Presented {
    /// The claims of an access token whose signature is good.
    Token(Box<Claims>),
    Key(ApiKey),
    /// None, or one that cannot be good.
    Bad,
}

/// What a user has, and how much of it is used.
pub struct Quota {
    pub tier: Tier,
    /// The tier's limits that there are none of.
    pub unlimited: Vec<TierLimit>,
    pub limits: LimitReport,
    pub features: Vec<String>,
    /// `None` is unlimited.
    pub concurrent_jobs: Option<u64>,
}

/// What was counted and may be taken back.
#[must_use = "what is held stays counted unless it is given back"]
pub struct Held(Vec<(Subject, (Check, Reading), CountedBy)>);

/// Lets requests in, or not. Made once, shared by all requests.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    clock: Clock,
    policy: PolicySource,
    ladder: Ladder,
    directory: Directory,
    refusals: Refusals,
    /// Credentials that a store has confirmed, when, and under which epoch.
    confirmed: Cache<CredentialId, (Timestamp, u64)>,
}

/// A user's session or key.
type CredentialId = (UserId, Option<SessionId>, Option<KeyId>);

/// What one question came to, whoever asked.
enum Asked {
    Admitted(LimitReport, Vec<Reading>, CountedBy),
    Refused(LimitReport),
    Outdated,
    Invalid,
    Denied(Denied),
}

impl Admission {
    fn new(
        parts: AdmissionParts,
        tables: UserTables,
        policy: PolicySource,
        valkey: Option<ValkeyLink>,
    ) -> Self {
        let AdmissionParts {
            dynamodb,
            clock,
            budgets,
            refusals,
            ..
        } = parts;
        let truth = DynamoDbEngine::new(&dynamodb, tables.admission.clone(), budgets.dynamodb);
        let users = UserStore::new(&dynamodb.within(budgets.dynamodb), tables);
        let valkey = valkey.map(|link| ValkeyEngine::new(link, truth.clone(), clock.clone()));
        Self(Arc::new(Inner {
            policy,
            ladder: Ladder::new(valkey, truth),
            directory: Directory::new(users),
            refusals,
            confirmed: Cache::builder()
                .max_capacity(MAX_CONFIRMED)
                .time_to_live(CONFIRMED_FOR)
                .build(),
            clock,
        }))
    }

    /// The policy in force.
    pub async fn policy(&self) -> Arc<Policy> {
        self.0.policy.current().await
    }

    /// The link to Valkey, if there is to be one: a process has no need of a second.
    pub fn valkey_link(&self) -> Option<ValkeyLink> {
        let valkey = self.0.ladder.valkey()?;
        Some(valkey.link().clone())
    }

    /// What is away, as far as this process has noticed.
    pub fn degraded(&self) -> Degraded {
        self.0.ladder.degraded()
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Lets a caller's request of `class` in, and counts it, if credential and limits allow.
    pub async fn admit(
        &self,
        presented: Presented,
        ip: IpAddr,
        class: &str,
    ) -> Result<(Caller, LimitReport), Denied> {
        let admitted = self.admit_costing(presented, ip, class, 1).await?;
        Ok((admitted.caller, admitted.limits))
    }

    /// As [`Self::admit`], for a request that counts more or less than one, some of which may be
    /// given back.
    pub async fn admit_costing(
        &self,
        presented: Presented,
        ip: IpAddr,
        class: &str,
        cost: u64,
    ) -> Result<Admitted, Denied> {
        let counted = Counted::InClass { class, cost };
        self.admit_counted(presented, ip, counted).await
    }

    /// As [`Self::admit_costing`], where permission is looked at before the limits: who has not the
    /// scope, or calls from where the key is not good, is let in uncounted, to be refused.
    pub async fn admit_permitted(
        &self,
        presented: Presented,
        ip: IpAddr,
        class: &str,
        cost: u64,
        scope: Scope,
    ) -> Result<Admitted, Denied> {
        let counted = Counted::IfPermitted {
            class,
            cost,
            scope,
            ip,
        };
        self.admit_counted(presented, ip, counted).await
    }

    /// Lets a caller's request in if the credential allows, and counts it nowhere.
    pub async fn admit_uncounted(
        &self,
        presented: Presented,
        ip: IpAddr,
    ) -> Result<(Caller, LimitReport), Denied> {
        let admitted = self.admit_counted(presented, ip, Counted::Nowhere).await?;
        Ok((admitted.caller, admitted.limits))
    }

    async fn admit_counted(
        &self,
        presented: Presented,
        ip: IpAddr,
        counted: Counted<'_>,
    ) -> Result<Admitted, Denied> {
        match presented {
            Presented::Token(claims) => self.admit_session(&claims, ip, counted).await,
            Presented::Key(key) => self.admit_key(&key, ip, counted).await,
            Presented::Bad => Err(self.count_bad_credential(ip).await),
        }
    }

    /// Lets a request to an open route of `class` in, by its address.
    pub async fn admit_open(&self, ip: IpAddr, class: &str) -> Result<LimitReport, Denied> {
        let policy = self.policy().await;
        let checks = plan::of_open_class(&policy, class);
        let subject = plan::subject_of_open_class(ip, class);
        let on_outage = policy.class(class).on_outage;
        match self.ask(&subject, None, None, &checks, on_outage).await {
            Asked::Admitted(report, _, by) => {
                note_let_in(None, 1, by);
                Ok(report)
            }
            Asked::Refused(report) => Err(Denied::Limited(report)),
            Asked::Denied(denied) => Err(denied),
            Asked::Outdated | Asked::Invalid => Err(Denied::Unauthenticated),
        }
    }

    /// Counts a password that may turn out to be wrong, before it is looked at, so that no number
    /// of simultaneous tries gets past the limit.
    pub async fn hold_password(
        &self,
        email: &EmailKey,
        ip: IpAddr,
    ) -> Result<(Held, LimitReport), Denied> {
        let policy = self.policy().await;
        let on_outage = policy.class("auth").on_outage;
        let mut held = Held(vec![]);
        let mut all = LimitReport::default();
        let limits = plan::of_failed_passwords(&policy, email, ip);
        for limits in limits.chunk_by(|(one, _), (other, _)| one == other) {
            let subject = &limits[0].0;
            let checks: Vec<Check> = limits.iter().map(|(_, check)| check.clone()).collect();
            let denied = match self.ask(subject, None, None, &checks, on_outage).await {
                Asked::Admitted(report, readings, by) => {
                    all.extend(report);
                    let counted = checks.into_iter().zip(readings);
                    let counted = counted.map(|counted| (subject.clone(), counted, by));
                    held.0.extend(counted);
                    continue;
                }
                Asked::Refused(report) => {
                    all.extend(report);
                    Denied::Limited(all)
                }
                Asked::Denied(denied) => denied,
                Asked::Outdated | Asked::Invalid => Denied::Unauthenticated,
            };
            self.give_back(held).await;
            return Err(denied);
        }
        Ok((held, all))
    }

    /// Takes back what was held.
    pub async fn give_back(&self, held: Held) {
        for (subject, counted, by) in held.0 {
            Box::pin(self.0.ladder.refund(&subject, &[counted], by)).await;
        }
    }

    /// How a caller's limits for `class` stand, without counting.
    pub async fn look(&self, caller: &Caller, class: &str) -> Result<LimitReport, EngineError> {
        let now = self.now();
        let policy = self.policy().await;
        let checks = plan::of_user(&policy, &caller.principal, caller.key(), class, 1, now);
        self.look_at(&Subject::User(caller.id()), &checks).await
    }

    /// How an address's limits at an open class stand, without counting.
    pub async fn look_open(&self, ip: IpAddr, class: &str) -> Result<LimitReport, EngineError> {
        let policy = self.policy().await;
        let checks = plan::of_open_class(&policy, class);
        let subject = plan::subject_of_open_class(ip, class);
        self.look_at(&subject, &checks).await
    }

    /// Everything that limits a user, and the key that they call with if it is one.
    pub async fn quota(
        &self,
        user: &Principal,
        key: Option<&ApiKeyRecord>,
    ) -> Result<Quota, EngineError> {
        let now = self.now();
        let policy = self.policy().await;
        let checks = plan::of_all_classes(&policy, user, key, now);
        let report = self.look_at(&Subject::User(user.id), &checks).await?;
        let unlimited = plan::tier_limits(&policy, user, now).into_iter();
        let tier = policy.tier(user.tier.as_str());
        Ok(Quota {
            tier: user.tier.clone(),
            unlimited: unlimited.filter(|tier| tier.limit.is_none()).collect(),
            limits: report,
            features: tier.features.clone(),
            concurrent_jobs: tier.concurrent_jobs,
        })
    }

    /// How `checks` of a subject stand, without counting.
    pub async fn look_at(
        &self,
        subject: &Subject,
        checks: &[Check],
    ) -> Result<LimitReport, EngineError> {
        if checks.is_empty() {
            return Ok(LimitReport::default());
        }
        let readings = Box::pin(self.0.ladder.look(subject, checks, self.now())).await?;
        Ok(LimitReport::new(checks, &readings, false))
    }

    /// Asks about limits that a caller keeps for purposes of its own.
    pub async fn check(&self, subject: &Subject, check: Check) -> Result<LimitReport, Denied> {
        let checks = [check];
        if checks[0].cost > checks[0].limit {
            // Never admitted, so nothing is asked; how much is left is worth a look.
            return Ok(self.look_at(subject, &checks).await?);
        }
        let asked = self.ask(subject, None, None, &checks, OnOutage::Closed);
        match asked.await {
            Asked::Admitted(report, ..) | Asked::Refused(report) => Ok(report),
            Asked::Denied(denied) => Err(denied),
            Asked::Outdated | Asked::Invalid => Err(Denied::Unauthenticated),
        }
    }

    /// Asks for a key that somebody else was shown, as if its holder had called.
    pub async fn verify_key(
        &self,
        key: &ApiKey,
        ip: Option<IpAddr>,
        class: &str,
        cost: u64,
        wanted: ScopeSet,
    ) -> Result<KeyVerdict, Denied> {
        let digest = key.digest();
        let known = self.0.directory.known_key(digest);
        let mut is_as_now = known.is_none();
        let mut found = match known {
            Some(known) => Some(known),
            None => self.0.directory.read_key(digest).await?,
        };
        let mut rereads = Rereads::new();
        loop {
            let Some(holder) = found else {
                return Ok(KeyVerdict::unknown());
            };
            let verdict = |code, limits| self.verdict(code, &holder, limits);
            match self.judge(&holder, ip, wanted).await {
                // What is remembered may stand against it no longer; an end is final.
                Some(code) if is_as_now || code.is_final() => {
                    return Ok(verdict(code, LimitReport::default()).await);
                }
                Some(_) => {}
                None => {
                    let caller = self.as_caller(&holder).await;
                    let counted = Counted::InClass { class, cost };
                    match self.ask_for_holder(&caller, &holder, counted).await.0 {
                        Asked::Admitted(report, _, by) => {
                            counted.note(&caller.principal, by);
                            self.0.directory.touch(&holder.key, self.now());
                            return Ok(verdict(KeyCode::Ok, report).await);
                        }
                        Asked::Refused(report) => {
                            return Ok(verdict(KeyCode::QuotaExceeded, report).await);
                        }
                        Asked::Denied(denied) => return Err(denied),
                        Asked::Invalid => {
                            let nothing = LimitReport::default();
                            return Ok(verdict(KeyCode::InactiveUser, nothing).await);
                        }
                        Asked::Outdated => {}
                    }
                }
            }
            rereads.next().await?;
            found = self.0.directory.read_key(digest).await?;
            is_as_now = true;
        }
    }

    async fn verdict(&self, code: KeyCode, holder: &KeyHolder, limits: LimitReport) -> KeyVerdict {
        let scopes = self.as_caller(holder).await.scopes();
        KeyVerdict {
            code,
            known: Some((holder.clone(), scopes)),
            limits,
        }
    }

    /// The holder of a key, as if they called.
    async fn as_caller(&self, holder: &KeyHolder) -> Caller {
        let principal = Principal::from(holder.owner.as_ref());
        let credential = Credential::Key(Arc::clone(&holder.key));
        caller(&*self.policy().await, principal, credential)
    }

    /// The caller's whole record. What is in memory is used only while it is the one that the
    /// admission proved current.
    pub async fn user_of(&self, caller: &Caller) -> Result<Option<Arc<User>>, StoreError> {
        let is_current = |user: &Arc<User>| user.epoch == caller.principal.epoch;
        match self.0.directory.known_user(caller.id()).filter(is_current) {
            Some(user) => Ok(Some(user)),
            None => self.0.directory.read_user(caller.id()).await,
        }
    }

    /// Makes a change of a user's standing and takes Valkey's copy of it away, before and after,
    /// so that the next request anywhere reads the new one. If Valkey cannot be told, word is left
    /// for whoever reaches it again, and the answer to this request says that the change holds
    /// there within a minute.
    pub async fn changing<T, E>(
        &self,
        user: UserId,
        change: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let subject = Subject::User(user);
        let Some(valkey) = self.0.ladder.valkey() else {
            let changed = Box::pin(change).await;
            self.0.refusals.forget(&subject);
            return changed;
        };
        if let Err(error) = Box::pin(valkey.forget(&subject)).await {
            tracing::debug!(cause = %error, "Valkey could not be told ahead of a change");
        }
        let mut untold = Untold {
            admission: self.clone(),
            subject: Some(subject.clone()),
        };
        let changed = Box::pin(change).await;
        let mut told = Box::pin(valkey.forget(&subject)).await;
        if told.is_err() {
            told = Box::pin(valkey.forget(&subject)).await;
        }
        if let Err(error) = told {
            notes::degraded(Degraded {
                revocation: true,
                ..Degraded::default()
            });
            tracing::warn!(cause = %error, user = %user, "Valkey could not be told of a change");
            if let Err(error) = Box::pin(valkey.forget_later(&subject, self.now())).await {
                tracing::error!(cause = %error, user = %user, "no word could be left of a change");
            }
        }
        // Until the copy is gone, somebody may be refused by what it says.
        self.0.refusals.forget(&subject);
        untold.subject = None;
        changed
    }

    /// As [`Self::changing`], for a change that clears a user's windows. What of the month Valkey had
    /// leased and not spent is put aside first: nobody can spend it any more.
    pub async fn resetting<T, E>(
        &self,
        user: UserId,
        reset: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let drained = async {
            if let Some(valkey) = self.0.ladder.valkey()
                && let Err(error) = Box::pin(valkey.drain(&Subject::User(user))).await
            {
                tracing::debug!(cause = %error, "what is leased to Valkey is put aside later");
            }
        };
        let reset = async {
            drained.await;
            reset.await
        };
        self.changing(user, reset).await
    }

    async fn admit_session(
        &self,
        claims: &Claims,
        ip: IpAddr,
        counted: Counted<'_>,
    ) -> Result<Admitted, Denied> {
        let policy = self.policy().await;
        let known = self.0.directory.known_user(claims.sub);
        let mut principal = match known {
            Some(user) if user.epoch > claims.ep => Principal::from(user.as_ref()),
            _ => Principal::from(claims),
        };
        let subject = Subject::User(claims.sub);
        let mut rereads = Rereads::new();
        loop {
            let caller = caller(&policy, principal, Credential::Session(claims.sid));
            let counted = counted.of(&caller);
            let on_outage = counted.on_outage(&policy);
            let checks = counted.checks(&policy, &caller, self.now());
            let proof = Proof {
                epoch: caller.principal.epoch,
                session: Some(claims.sid),
            };
            match self
                .ask(&subject, Some(proof), None, &checks, on_outage)
                .await
            {
                Asked::Admitted(report, readings, by) => {
                    counted.note(&caller.principal, by);
                    let charge = Charge::new(subject, checks, readings, by);
                    return Ok(Admitted::new(caller, report, charge));
                }
                Asked::Refused(report) => return Err(Denied::Limited(report)),
                Asked::Denied(denied) => return Err(denied),
                Asked::Invalid => return Err(self.count_bad_credential(ip).await),
                Asked::Outdated => {
                    rereads.next().await?;
                    match self.0.directory.read_user(claims.sub).await? {
                        Some(user) => principal = Principal::from(user.as_ref()),
                        None => return Err(self.count_bad_credential(ip).await),
                    }
                }
            }
        }
    }

    async fn admit_key(
        &self,
        key: &ApiKey,
        ip: IpAddr,
        counted: Counted<'_>,
    ) -> Result<Admitted, Denied> {
        let digest = key.digest();
        let known = self.0.directory.known_key(digest);
        // That a key is revoked or has expired stays so; that its owner is inactive may not.
        let known = known.filter(|known| known.owner.is_active);
        let mut holder = if let Some(holder) = known {
            holder
        } else {
            // Who has used up what an address may try is not even looked up.
            if let Some(denied) = self.is_address_spent(ip).await? {
                return Err(denied);
            }
            match self.0.directory.read_key(digest).await? {
                Some(holder) => holder,
                None => return Err(self.count_bad_credential(ip).await),
            }
        };
        let mut rereads = Rereads::new();
        loop {
            let now = self.now();
            if holder.key.state(now) != KeyState::Live || !holder.owner.is_active {
                return Err(self.count_bad_credential(ip).await);
            }
            let caller = self.as_caller(&holder).await;
            let counted = counted.of(&caller);
            let (asked, checks) = self.ask_for_holder(&caller, &holder, counted).await;
            match asked {
                Asked::Admitted(report, readings, by) => {
                    counted.note(&caller.principal, by);
                    if !holder.key.allows(ip) {
                        return Err(Denied::IpNotAllowed(report));
                    }
                    self.0.directory.touch(&holder.key, now);
                    let subject = Subject::User(caller.id());
                    let charge = Charge::new(subject, checks, readings, by);
                    return Ok(Admitted::new(caller, report, charge));
                }
                Asked::Refused(report) => return Err(Denied::Limited(report)),
                Asked::Denied(denied) => return Err(denied),
                Asked::Invalid => return Err(self.count_bad_credential(ip).await),
                Asked::Outdated => {
                    rereads.next().await?;
                    match self.0.directory.read_key(digest).await? {
                        Some(anew) => holder = anew,
                        None => return Err(self.count_bad_credential(ip).await),
                    }
                }
            }
        }
    }

    /// Asks for a key's holder, who would call as `caller`; tells what was asked, too.
    async fn ask_for_holder(
        &self,
        caller: &Caller,
        holder: &KeyHolder,
        counted: Counted<'_>,
    ) -> (Asked, Vec<Check>) {
        let policy = self.policy().await;
        let checks = counted.checks(&policy, caller, self.now());
        let proof = Proof {
            epoch: caller.principal.epoch,
            session: None,
        };
        let subject = Subject::User(caller.id());
        let on_outage = counted.on_outage(&policy);
        let key = Some(holder.key.id);
        let asked = self.ask(&subject, Some(proof), key, &checks, on_outage);
        (asked.await, checks)
    }

    /// What stands against a key that somebody was shown, before limits are asked about.
    async fn judge(
        &self,
        holder: &KeyHolder,
        ip: Option<IpAddr>,
        wanted: ScopeSet,
    ) -> Option<KeyCode> {
        let is_from_anywhere = holder.key.allowed_cidrs.is_everywhere();
        let is_allowed = ip.map_or(is_from_anywhere, |ip| holder.key.allows(ip));
        let scopes = self.as_caller(holder).await.scopes();
        match holder.key.state(self.now()) {
            KeyState::Revoked => Some(KeyCode::Revoked),
            KeyState::Expired => Some(KeyCode::Expired),
            KeyState::Live if !holder.owner.is_active => Some(KeyCode::InactiveUser),
            KeyState::Live if !wanted.is_subset_of(scopes) => Some(KeyCode::MissingScope),
            KeyState::Live if !is_allowed => Some(KeyCode::IpNotAllowed),
            KeyState::Live => None,
        }
    }

    /// Counts a request without a good credential against its address.
    async fn count_bad_credential(&self, ip: IpAddr) -> Denied {
        let policy = self.policy().await;
        let checks = plan::of_anonymous(&policy);
        let subject = plan::subject_of_ip(ip);
        let on_outage = policy.class("default").on_outage;
        match self.ask(&subject, None, None, &checks, on_outage).await {
            Asked::Refused(report) => Denied::Limited(report),
            Asked::Denied(Denied::Throttled) => Denied::Throttled,
            Asked::Admitted(report, ..) => {
                notes::limits(report);
                Denied::Unauthenticated
            }
            _ => Denied::Unauthenticated,
        }
    }

    /// Whether an address has used up what it may send without a good credential.
    async fn is_address_spent(&self, ip: IpAddr) -> Result<Option<Denied>, Denied> {
        let policy = self.policy().await;
        let checks = plan::of_anonymous(&policy);
        let subject = plan::subject_of_ip(ip);
        let now = self.now();
        if let Some(report) = self.0.refusals.of(&subject, &checks, now) {
            return Ok(Some(Denied::Limited(report.as_ref().clone())));
        }
        let asked = self.0.refusals.since();
        match self.look_at(&subject, &checks).await {
            Ok(report) if report.is_refused() => {
                let refusals = &self.0.refusals;
                refusals.remember(&subject, &checks, &report, asked, now);
                Ok(Some(Denied::Limited(report)))
            }
            Ok(_) | Err(EngineError::Away(_)) => Ok(None),
            Err(EngineError::Throttled) => Ok(Some(Denied::Throttled)),
        }
    }

    /// One question to the engines, unless its answer is known already.
    async fn ask(
        &self,
        subject: &Subject,
        proof: Option<Proof>,
        key: Option<KeyId>,
        checks: &[Check],
        on_outage: OnOutage,
    ) -> Asked {
        let now = self.now();
        // What is known of a caller may be old, and their limit no longer zero: the engine says.
        if proof.is_none()
            && let Some(report) = never_admitted(checks, now)
        {
            return Asked::Refused(report);
        }
        if let Some(report) = self.0.refusals.of(subject, checks, now) {
            return Asked::Refused(report.as_ref().clone());
        }
        let ask = Ask {
            subject,
            proof,
            checks,
            now,
        };
        let asked = self.0.refusals.since();
        let outcome = Box::pin(self.0.ladder.decide(&ask, on_outage)).await;
        notes::degraded(self.0.ladder.degraded());
        let credential = match (subject, proof) {
            (Subject::User(user), Some(proof)) => Some(((*user, proof.session, key), proof.epoch)),
            _ => None,
        };
        let (verdict, by) = match outcome {
            Outcome::Decided(verdict, by) => {
                self.remember(credential, &verdict, now);
                (verdict, by)
            }
            Outcome::Throttled => return Asked::Denied(Denied::Throttled),
            Outcome::Closed => return Asked::Denied(Denied::Unavailable),
            Outcome::Waived | Outcome::DecidedAlone(_) if !self.is_confirmed(credential, now) => {
                return Asked::Denied(Denied::AuthUnavailable);
            }
            Outcome::DecidedAlone(verdict) => (verdict, CountedBy::NoStore),
            Outcome::Waived => {
                return Asked::Admitted(LimitReport::default(), vec![], CountedBy::NoStore);
            }
        };
        match verdict {
            Verdict::Admitted(readings) => {
                Asked::Admitted(LimitReport::new(checks, &readings, true), readings, by)
            }
            Verdict::Refused(readings) => {
                let report = LimitReport::new(checks, &readings, false);
                let refusals = &self.0.refusals;
                refusals.remember(subject, checks, &report, asked, now);
                Asked::Refused(report)
            }
            Verdict::Outdated => Asked::Outdated,
            Verdict::Invalid => Asked::Invalid,
        }
    }

    fn remember(&self, credential: Option<(CredentialId, u64)>, verdict: &Verdict, now: Timestamp) {
        let Some((credential, epoch)) = credential else {
            return;
        };
        match verdict {
            // A refusal says that the credential was good: it is looked at first.
            Verdict::Admitted(_) | Verdict::Refused(_) => {
                self.0.confirmed.insert(credential, (now, epoch));
            }
            Verdict::Outdated | Verdict::Invalid => self.0.confirmed.invalidate(&credential),
        }
    }

    /// Whether a store has confirmed the credential lately, and under the epoch that is claimed
    /// now: an older token of the same session may state what is no longer so.
    fn is_confirmed(&self, credential: Option<(CredentialId, u64)>, now: Timestamp) -> bool {
        let Some((credential, claimed)) = credential else {
            return true;
        };
        let confirmed = self.0.confirmed.get(&credential);
        confirmed.is_some_and(|(at, epoch)| now.since(at) < CONFIRMED_FOR && epoch == claimed)
    }
}

/// A change that Valkey is to be told of, even if whoever waits for it goes away.
struct Untold {
    admission: Admission,
    subject: Option<Subject>,
}

impl Drop for Untold {
    fn drop(&mut self) {
        let Some(subject) = self.subject.take() else {
            return;
        };
        let admission = self.admission.clone();
        tokio::spawn(async move {
            if let Some(valkey) = admission.0.ladder.valkey()
                && valkey.forget(&subject).await.is_err()
                && let Err(error) = valkey.forget_later(&subject, admission.now()).await
            {
                tracing::error!(cause = %error, "no word could be left of a change");
            }
        });
    }
}

/// What came of asking for somebody else's key.
pub struct KeyVerdict {
    pub code: KeyCode,
    /// The key and its owner, if there is such a key, and what it may do now.
    pub known: Option<(KeyHolder, ScopeSet)>,
    pub limits: LimitReport,
}

impl KeyVerdict {
    /// Of what is no key, or nobody's.
    pub fn unknown() -> Self {
        Self {
            code: KeyCode::Unknown,
            known: None,
            limits: LimitReport::default(),
        }
    }
}

/// Why a key is good, or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyCode {
    Ok,
    Unknown,
    Revoked,
    Expired,
    InactiveUser,
    MissingScope,
    IpNotAllowed,
    QuotaExceeded,
}

impl KeyCode {
    /// Whether it is so for good.
    const fn is_final(self) -> bool {
        matches!(self, Self::Revoked | Self::Expired)
    }
}

fn caller(policy: &Policy, principal: Principal, credential: Credential) -> Caller {
    let withheld = if principal.is_verified {
        ScopeSet::EMPTY
    } else {
        let named = policy.access().require_verified_email.iter();
        named
            .filter_map(|scope| scope.parse::<Scope>().ok())
            .collect()
    };
    Caller {
        principal,
        credential,
        withheld,
    }
}

/// The refusal of what can never be admitted: a limit of zero, or a cost beyond the limit.
fn never_admitted(checks: &[Check], now: Timestamp) -> Option<LimitReport> {
    let nothing_used = |check: &Check| Reading {
        used: 0,
        fits: check.cost <= check.limit,
        whole_at: now,
        admits_at: None,
        bucket: 0,
    };
    let readings: Vec<Reading> = checks.iter().map(nothing_used).collect();
    let report = LimitReport::new(checks, &readings, false);
    report.is_refused().then_some(report)
}
