//! Every problem code that Turnpike can answer with: its status, its title, and the page that
//! explains it under `/docs/errors/{code}`.
//!
//! One table, so that a code cannot exist without its page.

macro_rules! catalogue {
    ($($variant:ident $code:literal $status:literal $title:literal
        why $why:literal
        then $remedy:literal;)+) => {
        /// The `code` of a problem document; each has a page under `/docs/errors/`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ProblemCode { $(#[doc = $title] $variant,)+ }

        impl ProblemCode {
            /// Every code, in the order of the statuses.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it stands in a problem document and in its page's address.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The HTTP status that goes with the code.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// A short text for people, the same at every occurrence (RFC 9457, section 3.1.3).
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// What happened, for the error's page.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $why,)+ }
            }

            /// What the client can do about it, for the error's page.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }

            /// The name of the variant in the code, for the test that looks for its use.
            pub const fn variant(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

catalogue! {
    MalformedJson "malformed-json" 400 "The body is not well-formed JSON"
        why "The request's body could not be read as JSON (RFC 8259): a syntax error, a member name that occurs twice in one object, bytes that are not UTF-8, nesting deeper than 128 levels, or nothing at all."
        then "Send one JSON value in UTF-8 with every member named once. The problem's detail gives the line and column.";
    AmbiguousCredentials "ambiguous-credentials" 400 "More than one credential"
        why "The request carries more than one credential, for example two Authorization headers, or an Authorization header beside X-API-Key. Which of them counts would be a guess, so none does."
        then "Send exactly one credential.";
    InvalidToken "invalid-token" 400 "The one-time token is not valid"
        why "The token from the mail has been used, has expired, was made void by a later reset or change of password, belongs to another account, or never existed. These look alike on purpose."
        then "Ask for a new mail and use the token in it once: verification tokens live 24 hours, reset tokens one hour. An address is verified from a session of its own account.";
    InvalidCursor "invalid-cursor" 400 "The cursor is not valid"
        why "The cursor was altered, or it was issued for another list or another caller."
        then "Pass next_cursor back as it came, or start again without a cursor.";
    InvalidPath "invalid-path" 400 "The path cannot be passed on"
        why "The path below the upstream, in one of the forms that it may be decoded to, has an empty, \".\" or \"..\" segment, a backslash or a control character, is not encoded as RFC 3986 wants it, is too long, or is not below the paths that the upstream is declared with."
        then "Send the path plainly: segments separated by single slashes, everything else percent-encoded once.";
    Unauthenticated "unauthenticated" 401 "A valid credential is needed"
        why "The route needs a credential, and the request has none, or one that is malformed, expired, revoked or of another issuer."
        then "Sign in, or use the refresh token to get a new access token, and send it as Authorization: Bearer.";
    InvalidCredentials "invalid-credentials" 401 "E-mail or password is wrong"
        why "No active account has this e-mail and this password. An unknown e-mail, a wrong password and a deactivated account look alike on purpose."
        then "Check both, or reset the password.";
    InvalidRefreshToken "invalid-refresh-token" 401 "The refresh token is not valid"
        why "The refresh token is unknown, has expired, or belongs to a session that has ended."
        then "Sign in again. A refresh token lives 7 days, a session at most 30.";
    RefreshTokenReused "refresh-token-reused" 401 "The refresh token was used before"
        why "A refresh token is good for one use, and this one has been exchanged already. Two parties may hold it, so the session was ended (RFC 9700, section 4.14.2). Only the immediate predecessor, sent again within 10 seconds while its successor is unused, is answered with the same successor, so that a lost answer costs nothing."
        then "Sign in again. If this was not you, change the password.";
    WrongPassword "wrong-password" 403 "The current password is wrong"
        why "The change of password needs the current one, and current_password is not it."
        then "Send the current password, or reset it by mail.";
    MissingScope "missing-scope" 403 "The credential lacks a scope"
        why "The credential is good, but does not have the scope that the route wants. A session has the scopes of its user's roles; an API key those that it was made with, as far as its owner still holds them."
        then "Use a credential with the scope that detail names, or make a key that has it.";
    EmailNotVerified "email-not-verified" 403 "The e-mail address is not verified"
        why "The stage's policy wants a verified e-mail address for the scope that the route needs."
        then "Verify the address with the token from the mail; POST /api/v1/auth/verify-email/request sends another.";
    SessionRequired "session-required" 403 "A signed-in session is needed"
        why "The route is for signed-in sessions alone; the request came with an API key."
        then "Sign in and use the access token.";
    IpNotAllowed "ip-not-allowed" 403 "The key is not to be used from this address"
        why "The API key has a list of networks that it may be used from, and the request came from elsewhere."
        then "Call from one of the key's networks, or change its allowed_cidrs.";
    ScopeNotHeld "scope-not-held" 403 "A scope is not the caller's to give"
        why "The key would have a scope that its owner does not hold, or that the key that makes or manages it does not have. An API key never gives keys:write."
        then "Leave out the scopes that detail names, or sign in as somebody who holds them.";
    BeyondOwnKey "beyond-own-key" 403 "The key reaches beyond the one that asks"
        why "An API key manages only keys whose networks, expiry and limits lie within its own, and never itself. This one does not, or would not."
        then "Ask for no more than the calling key has, or sign in and use the access token.";
    FeatureNotInTier "feature-not-in-tier" 403 "The tier does not have the feature"
        why "The upstream that was named is for users whose tier has a certain feature, and the caller's tier has not. detail names the feature. The request was counted."
        then "Ask another upstream, or for a tier that has the feature; GET /api/v1/users/quota lists what a tier has.";
    NotFound "not-found" 404 "There is nothing here"
        why "The path names no route, or a resource that does not exist or is not yours."
        then "Check the path against /docs.";
    UnknownUpstream "unknown-upstream" 404 "There is no such upstream"
        why "The request names an upstream that the stage's policy does not have, or does not offer in this way. The request was counted, so that names cannot be tried for nothing."
        then "Use one of the names that the operator of the stage has published.";
    MethodNotAllowed "method-not-allowed" 405 "The method is not allowed here"
        why "The path exists, but not with this method."
        then "Use one of the methods in the Allow header.";
    EmailTaken "email-taken" 409 "The e-mail address has an account"
        why "An account with this address exists. Addresses are compared without case."
        then "Sign in, or reset the password.";
    TooManyKeys "too-many-keys" 409 "There are too many keys"
        why "An account has at most 100 live keys, and at most 5 of them with limits of their own. A key and the one that it was rotated to count as two until the overlap is over."
        then "Revoke keys that are no longer used, take away limits of their own, or rotate without an overlap.";
    KeyRevoked "key-revoked" 409 "The key is no longer live"
        why "The key has been revoked, was rotated and its overlap is over, or has expired. Such a key can be read, and not be changed or rotated."
        then "Make another key.";
    KeyRotated "key-rotated" 409 "The key was rotated before"
        why "The key has been exchanged for another, and lives on only for the overlap. A key is rotated once."
        then "Rotate the key that took its place.";
    IdempotencyInProgress "idempotency-in-progress" 409 "A request with this key is still running"
        why "A request with this Idempotency-Key is running, or the one that ran broke off less than 30 seconds ago and nobody knows yet what became of it. Whatever happens, it takes effect at most once."
        then "Send the same request with the same key again after the seconds that Retry-After gives.";
    IdempotencyAnswerGone "idempotency-answer-gone" 409 "The answer cannot be shown again"
        why "The request with this Idempotency-Key was done. Its answer held a secret, and that is void by now: the API key has been revoked or has expired, or the session has ended or was refreshed. So the answer is not shown again."
        then "Do not repeat the request. Sign in for new tokens, or make another key; a new request needs a new Idempotency-Key.";
    PreferencesExist "preferences-exist" 409 "There are preferences already"
        why "A user has one set of preferences, and this one has it."
        then "Replace them with PUT, or remove them first.";
    LastAdmin "last-admin" 409 "One active admin has to stay"
        why "The change would leave nobody who can administer the stage: the user is the last active admin, or became so while another was demoted or deactivated."
        then "Make somebody else an admin first.";
    PreconditionFailed "precondition-failed" 412 "What is there is not what the request expects"
        why "The request says with If-Match or If-None-Match what is to be there, and something else is, or nothing: somebody else changed it, it expired, or it was there already. Nothing was changed (RFC 9110, section 13.1)."
        then "Read what is there, decide anew, and send the ETag that you read as If-Match.";
    PayloadTooLarge "payload-too-large" 413 "The body is too large"
        why "The request's body is larger than the route takes: 1 MiB for queries, 64 KiB elsewhere."
        then "Send less in one request.";
    UnsupportedMediaType "unsupported-media-type" 415 "The body is not declared as JSON"
        why "The route reads JSON, and the Content-Type of the request says something else or is missing."
        then "Send Content-Type: application/json.";
    ValidationFailed "validation-failed" 422 "The request's content is not valid"
        why "The request could be read, but members of it, parameters of the query string, or the Idempotency-Key, are missing, unknown, of the wrong type or out of range. The member errors lists each of them with a code: required, unknown, wrong-type, too-short, too-long, out-of-range or invalid."
        then "Correct the fields that errors names.";
    WeakPassword "weak-password" 422 "The password is too easy to guess"
        why "The password would be guessed too soon: it is a common one, follows a pattern, or is made of the account's own e-mail address or name. The estimate is zxcvbn's; 3 of 4 points are needed."
        then "Follow the advice in errors: a few uncommon words in a row are strong and easy to remember.";
    IdempotencyKeyReused "idempotency-key-reused" 422 "The key came with another request before"
        why "Within the last 24 hours this Idempotency-Key came to the same route with another body. One of the two is not the request that the key stands for."
        then "Use a new key for every new request, and the same key with the same body to repeat one.";
    QuotaExceeded "quota-exceeded" 429 "Request cannot be satisfied as assigned quota has been exceeded"
        why "One or more limits are used up; violated-policies names them. The request counted nowhere. The headers RateLimit and RateLimit-Policy say how each limit stands, and GET /api/v1/users/limits/explain says which ones apply to a route. Without a good credential, the limits are those of the address."
        then "Wait for the seconds that Retry-After gives; then the request is admitted, if nothing else was sent. Without Retry-After it never is: the limit is zero, or the request costs more than the limit.";
    Throttled "throttled" 429 "Too many requests at once"
        why "One user or address sends more requests at the same moment than can be decided. No limit is known to be used up."
        then "Send again after Retry-After, and fewer at once.";
    InternalError "internal-error" 500 "Something went wrong on our side"
        why "The server met a condition that it did not expect. The log has the cause under the request_id."
        then "Try again; if it persists, tell the operator the request_id.";
    UpstreamFailed "upstream-failed" 502 "The upstream failed"
        why "The upstream behind the request could not be reached, broke the connection off, answered with an error of its own or with something that could not be used, or redirected to another place. Where it is safe, the request was tried again before this was said."
        then "Try again later. If it persists, the operator finds the cause by the request_id.";
    UpstreamTooLarge "upstream-too-large" 502 "The upstream's answer is too large"
        why "The upstream answered with more than 4 MiB. No more than that is read of any answer."
        then "Ask the upstream for less, for example for fewer results in one answer.";
    ServiceUnavailable "service-unavailable" 503 "The service is not available right now"
        why "Something that the request needs, most likely the database, is away, overloaded or too slow."
        then "Try again after the seconds that Retry-After gives.";
    AuthUnavailable "auth-unavailable" 503 "Credentials cannot be checked right now"
        why "The stores that say whether a credential is still good do not answer, and this one has not been confirmed within the last 30 seconds. Nobody is let in unchecked."
        then "Try again after the seconds that Retry-After gives.";
    VerificationUnfinished "verification-unfinished" 503 "The verification came to the end of its time"
        why "The audit log is longer than one request can go through, or the database is slow just now. What was gone through holds; the rest has not been looked at."
        then "Ask again with the parameter from that the problem's detail names, until a verification comes to the end of the log. Together they verify all of it.";
    CircuitOpen "circuit-open" 503 "The upstream is being left alone"
        why "The upstream has failed so often within a short time that it is not called for a while: the circuit breaker is open. After that, one request tries whether it is back. Answers that are cached are served meanwhile."
        then "Try again after the seconds that Retry-After gives.";
    NotReady "not-ready" 503 "The service is not ready"
        why "/health/ready answers this while DynamoDB cannot be reached."
        then "Wait until /health/ready answers 200.";
    NotCached "not-cached" 504 "The cache does not have it"
        why "The request came with Cache-Control: only-if-cached, and the cache has no answer that may be given to it. The upstream was not asked (RFC 9111, section 5.2.1.7)."
        then "Send the request without only-if-cached.";
    UpstreamTimeout "upstream-timeout" 504 "The upstream did not answer in time"
        why "The upstream did not answer within its time, or not within the time that the request had left. Where it is safe, the request was tried again before this was said."
        then "Try again later, or ask for something that takes the upstream less time.";
}
