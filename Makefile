# mkd: see README.md. The targets a newcomer needs are `make run` and `make test`.

GO       ?= go
FUZZTIME ?= 5000x
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOFILES   = $(shell git ls-files '*.go')

.DEFAULT_GOAL := help
.PHONY: help run build test fmt lint fuzz php php-fpm php-cgi php-tools openssl curl dokuwiki

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: php build server.key ## install PHP if missing, build, make a key, start mkd with config.yaml
	exec bin/mkd run --config config.yaml

build: ## build bin/mkd and bin/sazukari
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ ./cmd/mkd ./cmd/sazukari

# Never overwritten: clients carry its public half.
server.key: | build
	bin/mkd keygen --out server.key

test: php php-fpm php-cgi php-tools openssl curl dokuwiki lint ## formatting, vet, staticcheck, all tests with -race, short fuzz runs
	$(GO) test -race -count=1 -timeout 12m ./...
	@$(MAKE) --no-print-directory fuzz

lint:
	@unformatted=$$(gofmt -l $(GOFILES)); if [ -n "$$unformatted" ]; then \
	  echo "not formatted (make fmt mends it):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for name in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$name $(FUZZTIME)"; \
	    $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg; \
	  done; done

fmt: ## format the Go code
	gofmt -w $(GOFILES)

# What is missing is installed from Debian: php-cli to run, the others to test
# with. Debian's php-fpm has its version in its name; libraries are where PHP finds
# them.
php: ; $(call need,php,php-cli)
php-fpm: ; $(call need,php-fpm,php-fpm)
php-cgi: ; $(call need,php-cgi,php-cgi)
php-tools:
	$(call need,phpunit,phpunit)
	$(call need,phpcs,php-codesniffer)
	$(call need,Nyholm/Psr7,php-nyholm-psr7)
	$(call need,Slim,php-slim)
openssl: ; $(call need,openssl,openssl)
curl: ; $(call need,curl,curl)
# Where there is no PHP for web servers yet, this would bring Apache.
dokuwiki: php-fpm ; $(call need,dokuwiki,dokuwiki)

define need
@{ command -v $(1) || ls /usr/sbin/$(1)[0-9]* || ls /usr/share/php/$(1)/autoload.php || ls /usr/share/$(1)/VERSION; } >/dev/null 2>&1 || { \
  if [ "$$(id -u)" != 0 ]; then echo "$(1) is missing: install it with 'sudo apt-get install $(2)', then run this again" >&2; exit 1; fi; \
  echo "$(1) is missing: installing $(2)"; \
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(2); }
endef
