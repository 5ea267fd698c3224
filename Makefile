# Warren's build. Everything it makes is in bin/ and .cache/.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X github.com/cuemby/warren/internal/version.Version=$(VERSION)
HELPERS  := internal/worker/runtime/programs
PROGRAMS := .cache/helpers/containerd-shim-runc-v2 .cache/helpers/runc .cache/helpers/warren-log
PACKED   := $(patsubst .cache/helpers/%,$(HELPERS)/%.zst,$(PROGRAMS))

.DEFAULT_GOAL := build

## build: bin/warren, one static binary with everything inside
.PHONY: build
build: helpers notice
	CGO_ENABLED=0 $(GO) build -trimpath -tags embed_helpers -ldflags '$(LDFLAGS)' -o bin/warren ./cmd/warren

## notice: NOTICE says what the binary contains of others; commit it when it changed
.PHONY: notice
notice:
	@mkdir -p .cache
	@$(GO) run ./scripts/notice > .cache/NOTICE
	@cmp -s .cache/NOTICE NOTICE || cp .cache/NOTICE NOTICE

## helpers: the programs that are embedded, built when their versions change
.PHONY: helpers
helpers: $(PACKED)

$(PACKED) &: $(PROGRAMS) $(HELPERS)/pack/main.go
	$(GO) run ./$(HELPERS)/pack $(HELPERS) $(PROGRAMS)

# The versions are all that the foreign two depend on; this file changes with
# them alone, where go.mod changes with every library.
.cache/versions: go.mod Makefile
	@mkdir -p .cache/helpers
	@{ $(GO) version; $(GO) list -m github.com/containerd/containerd/v2 github.com/opencontainers/runc; } > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.cache/helpers/containerd-shim-runc-v2: .cache/versions
	CGO_ENABLED=0 $(GO) build -trimpath -tags no_grpc -ldflags '-s -w' -o $@ github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2

.cache/helpers/runc: .cache/versions | libseccomp
	CGO_ENABLED=1 $(GO) build -trimpath -tags 'seccomp urfave_cli_no_docs netgo osusergo' -ldflags '-s -w -extldflags -static' -o $@ github.com/opencontainers/runc

.cache/helpers/warren-log: .cache/versions cmd/warren-log/main.go $(filter-out %_test.go,$(wildcard internal/worker/runtime/logs/*.go))
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./cmd/warren-log

# runc is C where it filters system calls. Each package is named by a file that
# shows it is there; Debian's list of packages is fetched when it is missing.
.PHONY: libseccomp
libseccomp:
	@scripts/need gcc /usr/bin/gcc libc6-dev /usr/include/stdlib.h libseccomp-dev /usr/include/seccomp.h

## images: the images of tests and the demo, from Debian's packages
.PHONY: images
images: .cache/images/busybox.tar .cache/images/postgres.tar

.cache/images/%.tar: $(wildcard internal/testkit/image/*.go internal/testkit/image/cmd/*.go internal/testkit/image/*.sh)
	@mkdir -p $(@D)
	$(GO) run ./internal/testkit/image/cmd $* $@ || { apt-get update -q && $(GO) run ./internal/testkit/image/cmd $* $@; }

## generate: the Go code of the .proto files
.PHONY: generate
generate:
	$(GO) tool -modfile=tools/go.mod buf generate

## demo: PostgreSQL on a volume with a secret, killed again and again; run it as often as you like
.PHONY: demo
demo: build images
	@scripts/need postgresql-client /usr/bin/psql
	demo/demo.sh bin/warren .cache/images/postgres.tar

## dev-cluster: three managers and two workers on this machine, with real containers, to play with
.PHONY: dev-cluster dev-cluster-down
dev-cluster: build
	@scripts/need iproute2 /usr/sbin/ip
	dev/cluster.sh up bin/warren

## dev-cluster-down: ends them, and removes what they made
dev-cluster-down:
	dev/cluster.sh down bin/warren

## check: what is quick: format, vet, lint, and every test that needs no container
.PHONY: check
check: lint
	$(GO) test ./...

.PHONY: lint
lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
		if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags e2e,bench ./...
	$(GO) tool -modfile=tools/go.mod staticcheck -tags e2e,bench ./...

## test: every test, with real containers, servers and disks; wants root
.PHONY: test
test: build images lint
	@scripts/need e2fsprogs /sbin/mkfs.ext4 xfsprogs /sbin/mkfs.xfs mount /bin/mount util-linux /usr/bin/unshare \
		tar /bin/tar findutils /usr/bin/find
	$(GO) test -tags e2e,embed_helpers -timeout 14m -parallel 4 ./...

## bench: against peers and limits, all in one run of minutes; writes bench/results.txt.
## One of them alone: make bench BENCH=Secrets
.PHONY: bench
bench: build images .cache/docker/usr/sbin/dockerd .cache/etcd/usr/bin/etcd
	@scripts/need dnsmasq-base /usr/sbin/dnsmasq
	$(GO) test -tags bench -timeout 30m -count 1 -v -run 'Test($(or $(BENCH),.*))$$' ./bench

# Docker and etcd are unpacked, not installed: the machine is left as it was.
.cache/docker/usr/sbin/dockerd:
	@scripts/need libdevmapper1.02.1 /lib/*/libdevmapper.so.1.02.1
	@mkdir -p .cache/docker/deb
	cd .cache/docker/deb && { apt-get download docker.io containerd runc || { apt-get update -q && apt-get download docker.io containerd runc; }; }
	for package in .cache/docker/deb/*.deb; do dpkg-deb -x $$package .cache/docker || exit 1; done
	@touch $@

.cache/etcd/usr/bin/etcd:
	@mkdir -p .cache/etcd/deb
	cd .cache/etcd/deb && { apt-get download etcd-server || { apt-get update -q && apt-get download etcd-server; }; }
	dpkg-deb -x .cache/etcd/deb/etcd-server_*.deb .cache/etcd
	@touch $@

## clean: removes all that was built
.PHONY: clean
clean:
	rm -rf bin .cache $(HELPERS)/*.zst $(HELPERS)/*.sum
