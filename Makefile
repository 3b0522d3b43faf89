# mkd: see README.md. The targets a newcomer needs are `make run` and `make test`.

GO       ?= go
FUZZTIME ?= 2000x
LONGTIME ?= 40m
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   = -X main.version=$(VERSION)
PREFIX   ?= /usr/local
DESTDIR  ?=
ZSHDIR   ?= share/zsh/site-functions
ARCH     ?= $(shell $(GO) env GOARCH)
COMMITTED = $(shell git show -s --format=%ct 2>/dev/null || echo 0)
# The tag v1.2.3 is the version 1.2.3, and 1.2.3+4.gabcdef is four commits later.
DEB_VERSION = $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed -E 's/^v//; s/-([0-9]+)-(g[0-9a-f]+)$$/+\1.\2/; s/-/~/g' | grep . || \
                echo "0~$$(git show -s --format=%cd.%h --date=format:%Y%m%d 2>/dev/null || echo 0)")
GOFILES   = $(shell git ls-files '*.go')

# Handshakes take a third of the time with OpenSSL's libcrypto, if it can be built
# in. OPENSSL= does without.
OPENSSL ?= $(shell command -v $${CC:-gcc} >/dev/null && test -e /usr/include/openssl/evp.h && echo yes)
BUILD    = $(if $(OPENSSL),CGO_ENABLED=1 $(GO) build -pgo=auto -tags openssl$(,)netgo$(,)osusergo,CGO_ENABLED=0 $(GO) build -pgo=auto)
,       := ,

# Only what is built to be used is optimised by cmd/mkd/default.pgo: it takes a
# compilation of its own.
export GOFLAGS := -pgo=off $(GOFLAGS)

# What is missing is installed from Debian, as COMMAND:PACKAGE. Debian's php-fpm has
# its version in its name; libraries are where PHP finds them. php-fpm comes before
# dokuwiki, which would bring Apache otherwise.
RUN_NEEDS  = php:php-cli
TEST_NEEDS = $(RUN_NEEDS) php-fpm:php-fpm php-cgi:php-cgi phpunit:phpunit phpcs:php-codesniffer \
             Nyholm/Psr7:php-nyholm-psr7 Slim:php-slim \
             Symfony/Bundle/FrameworkBundle:php-symfony-framework-bundle \
             Illuminate:php-laravel-framework $(PHP_LIB)/pdo_sqlite.so:php-sqlite3 openssl:openssl curl:curl \
             $(CLIENT_NEEDS) redis-server:redis-server haproxy:haproxy dokuwiki:dokuwiki nginx:nginx-light $(C_NEEDS)
CLIENT_NEEDS = node:nodejs python3:python3 /usr/lib/python3/dist-packages/cryptography:python3-cryptography \
             Psr/Http/Client:php-psr-http-client
CLIENT_LONG = tsc:node-typescript mypy:mypy npm:npm composer:composer /usr/lib/python3/dist-packages/pip:python3-pip \
             /usr/lib/python3/dist-packages/setuptools:python3-setuptools /usr/lib/python3/dist-packages/wheel:python3-wheel
C_NEEDS    = gcc:gcc g++:g++ /usr/include/openssl/evp.h:libssl-dev
C_LONG     = valgrind:valgrind clang:clang /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a:libclang-rt-14-dev $(JAVA_NEEDS)
MAVEN_PLUGINS = /usr/share/maven-repo/org/apache/maven/plugins/maven
MAVEN      = mvn:maven $(MAVEN_PLUGINS)-compiler-plugin:libmaven-compiler-plugin-java $(MAVEN_PLUGINS)-jar-plugin:libmaven-jar-plugin-java \
             $(MAVEN_PLUGINS)-resources-plugin:libmaven-resources-plugin-java $(MAVEN_PLUGINS)-surefire-plugin:libsurefire-java
JAVA_NEEDS = javac:default-jdk-headless /usr/share/java/junit4.jar:junit4
# The applications of long tests, with a database that tests start themselves. nginx
# comes first: they would bring Apache otherwise.
PHP_LIB    = /usr/lib/php/[0-9]*
WORDPRESS  = nginx:nginx-light php-fpm:php-fpm /usr/share/wordpress/wp-load.php:wordpress \
             /usr/share/wordpress/wp-content/themes/twentytwentythree:wordpress-theme-twentytwentythree \
             mariadbd:mariadb-server $(PHP_LIB)/mysqli.so:php-mysql $(PHP_LIB)/gd.so:php-gd $(PHP_LIB)/xml.so:php-xml
MEDIAWIKI  = nginx:nginx-light php-fpm:php-fpm /usr/share/mediawiki/index.php:mediawiki \
             $(PHP_LIB)/pdo_sqlite.so:php-sqlite3 $(PHP_LIB)/intl.so:php-intl $(PHP_LIB)/mbstring.so:php-mbstring $(PHP_LIB)/xml.so:php-xml
PACKAGE    = lintian:lintian debootstrap:debootstrap systemd-analyze:systemd logrotate:logrotate man:man-db
LONG_NEEDS = $(TEST_NEEDS) $(PACKAGE) chromium:chromium tmux:tmux /usr/sbin/named:bind9 $(C_LONG) $(MAVEN) $(CLIENT_LONG) $(WORDPRESS) $(MEDIAWIKI)

.DEFAULT_GOAL := help
.PHONY: help run build cross install deb test test-long debian13 bench pgo wordpress mediawiki fmt lint vet staticcheck fuzz libsazukari libsazukari-test java module

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install PHP if it is missing, build, make a key, start mkd with config.yaml
	@.ci/install $(RUN_NEEDS)
	@$(MAKE) --no-print-directory server.key
	exec bin/mkd run --config config.yaml

build: ## build bin/mkd and bin/sazukari
	@mkdir -p bin
	$(BUILD) -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/mkd ./cmd/sazukari

# Never overwritten: clients carry its public half.
server.key: | build ## make a server key, unless there is one
	bin/mkd keygen --out server.key

# vet comes first, and compiles what the tests need: with the race detector, without
# debug information, which would take a seventh of the time, and libraries without
# inlining, which takes half of theirs. The detector has each process wait for a second as
# it ends, for reports of other threads; a tenth of that is enough. The packages whose
# tests take longest come first, so that the others run beside them. staticcheck takes the
# time that tests wait.
test: export GOFLAGS += -gcflags=all=-dwarf=false '-gcflags=github.com/...=-dwarf=false -l'
test: export GORACE ?= atexit_sleep_ms=100
test: ## install what the tests need, then run lint and all tests with -race
	@.ci/install $(TEST_NEEDS)
	@$(MAKE) --no-print-directory vet LINT_FLAGS=-race
	nice -n 19 $(MAKE) --no-print-directory staticcheck LINT_FLAGS=-race & lint=$$!; \
	$(GO) test -vet=off -race -count=1 -timeout 12m -exec '$(CURDIR)/.ci/testfuzz 500x' ./proxy ./php ./cmd ./...; tests=$$?; \
	wait $$lint || { echo 'staticcheck found faults: see above'; exit 1; }; exit $$tests
	$(GO) test -vet=off -race -tags openssl -count=1 ./megaki/privatekey ./megaki/cbc ./proxy/keys

test-long: ## install what they need, then run lint, the tests that take minutes (TestLong...), each benchmark once, and fuzz tests by coverage
	@.ci/install $(LONG_NEEDS)
	@$(MAKE) --no-print-directory lint
	$(GO) test -vet=off -tags long -run '^TestLong' -count=1 -timeout $(LONGTIME) ./...
	$(GO) test -vet=off -tags long -run '^$$' -bench . -benchtime 1x $$(git grep -l '^func Benchmark' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's#^#./#')
	@$(MAKE) --no-print-directory fuzz

wordpress: ## install WordPress and MariaDB for the long tests, without starting services
	@.ci/install $(WORDPRESS)

mediawiki: ## install MediaWiki for the long tests, without starting services
	@.ci/install $(MEDIAWIKI)

debian13: ## as root: run the tests of PHP with PHP 8.4, Laravel 10 and Symfony 6, in a chroot of Debian 13
	@.ci/install debootstrap:debootstrap
	@.ci/debian trixie

cross: ## build mkd for Linux on amd64 and arm64, sazukari also for macOS and Windows
	@set -e; cross() { echo "$$1 for $$2/$$3"; CGO_ENABLED=0 GOOS=$$2 GOARCH=$$3 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o "bin/$$1-$$2-$$3$$4" "./cmd/$$1"; }; \
	for arch in amd64 arm64; do cross mkd linux $$arch; cross sazukari linux $$arch; cross sazukari darwin $$arch; done; \
	cross sazukari windows amd64 .exe

# The commands link statically. Man pages and completions are written by the commands
# themselves, on this machine.
install: ## install commands, man pages, completions, schema, unit and examples in $(DESTDIR)$(PREFIX)
	rm -rf build/pages
	mkdir -p build/pages '$(DESTDIR)$(PREFIX)/bin'
	CGO_ENABLED=0 GOARCH=$(ARCH) $(GO) build -trimpath -ldflags '-s -w $(LDFLAGS)' -o '$(DESTDIR)$(PREFIX)/bin/' ./cmd/mkd ./cmd/sazukari
	for c in mkd sazukari; do SOURCE_DATE_EPOCH=$(COMMITTED) CGO_ENABLED=0 $(GO) run -tags man -ldflags '$(LDFLAGS)' ./cmd/$$c build/pages || exit; done
	gzip -9n build/pages/*.[18]
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/man/man1' build/pages/*.1.gz
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/man/man8' build/pages/*.8.gz
	for c in mkd sazukari; do \
	  install -D -m 644 build/pages/$$c.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$c" && \
	  install -D -m 644 build/pages/$$c.zsh "$(DESTDIR)$(PREFIX)/$(ZSHDIR)/_$$c" && \
	  install -D -m 644 build/pages/$$c.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$c.fish" || exit; done
	install -d '$(DESTDIR)$(PREFIX)/lib/systemd/system'
	sed 's#/usr/bin/#$(PREFIX)/bin/#' packaging/mkd.service >'$(DESTDIR)$(PREFIX)/lib/systemd/system/mkd.service'
	install -D -m 644 config/schema.json '$(DESTDIR)$(PREFIX)/share/mkd/config.schema.json'
	for f in config.yaml $$(git ls-files examples ':!*_test.go' ':!*.txtar'); do install -D -m 644 "$$f" "$(DESTDIR)$(PREFIX)/share/doc/mkd/$$f" || exit; done

deb: ## build a Debian package in bin/, for another architecture with ARCH=arm64
	rm -rf build/deb
	$(MAKE) install PREFIX=/usr DESTDIR=build/deb ZSHDIR=share/zsh/vendor-completions ARCH=$(ARCH)
	printf 'mkd (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md in the source.\n\n -- mkd maintainers <maintainers@mkd.invalid>  %s\n' \
	  '$(DEB_VERSION)' "$$(date -u -R -d @$(COMMITTED))" | gzip -9n >build/changelog.gz
	cd packaging/nfpm && $(GO) build -o ../../build/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	mkdir -p bin
	ARCH=$(ARCH) DEB_VERSION='$(DEB_VERSION)' SOURCE_DATE_EPOCH=$(COMMITTED) build/nfpm package --config packaging/nfpm.yaml --packager deb --target bin/
	rm -rf build/deb # tests look at all Go files of the folder

# The files of long tests need packages that nothing else needs; `make test` leaves them
# to `make test-long`. The compiler and staticcheck spend a tenth of their time on
# collecting garbage unless they may use more memory, some 1.2 GB.
LINT_FLAGS ?= -tags=long
lint: vet staticcheck ## check formatting, vet, staticcheck
vet staticcheck: export GOGC ?= 400

vet: ## check formatting, vet
	@unformatted=$$(gofmt -l $(GOFILES)); if [ -n "$$unformatted" ]; then \
	  echo "not formatted ('make fmt' formats it):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet $(LINT_FLAGS) ./...

staticcheck: ## run staticcheck alone
	staticcheck=$$($(GO) tool -n staticcheck) && GOFLAGS="$$GOFLAGS $(LINT_FLAGS)" $$staticcheck ./...

CADDY := github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9

bench: build ## compare mkd with nginx, PHP-FPM and Caddy, or one line: make bench LINE=HTTPS
	@.ci/install $(TEST_NEEDS)
	@echo 'building Caddy, which takes minutes the first time'
	GOBIN='$(CURDIR)/build/bench' $(GO) install $(CADDY)
	$(GO) run ./bench -caddy build/bench/caddy -line '$(LINE)'

pgo: build ## profile mkd under the load of bench, for the compiler: cmd/mkd/default.pgo
	@.ci/install $(TEST_NEEDS)
	$(GO) run ./bench -rounds 1 -time 4s -profile cmd/mkd/default.pgo

fuzz: ## run each fuzz test for FUZZTIME (2000x, or a time as 1m)
	@.ci/fuzz $(FUZZTIME)

libsazukari: ## build the C library, in libsazukari/build
	@.ci/install $(C_NEEDS)
	$(MAKE) -C libsazukari

libsazukari-test: ## test the C library, with mkd and PHP
	@.ci/install $(C_NEEDS) $(RUN_NEEDS)
	$(GO) test -count=1 -v ./libsazukari

java: ## build the clients in Java, in libsazukari/java/build
	@.ci/install $(C_NEEDS) $(JAVA_NEEDS)
	$(MAKE) -C libsazukari/java

fmt: ## format the Go code
	gofmt -w $(GOFILES)

module: ## rename the module and all its imports: make module MODULE=example.org/mkd
	@case "$$MODULE" in ''|/*|*/|*[!a-zA-Z0-9._/~-]*) echo 'usage: make module MODULE=example.org/mkd' >&2; exit 2;; esac; \
	old=$$($(GO) list -m) && $(GO) mod edit -module "$$MODULE" && \
	find . -name .git -prune -o \( -name '*.go' -o -name '*.md' \) -exec sed -i "s#\"$$old/#\"$$MODULE/#g" {} + && \
	find . -name '*.go' -exec gofmt -w {} +
