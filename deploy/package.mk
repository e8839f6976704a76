# SPDX-License-Identifier: Apache-2.0
#
#   make install [DESTDIR=…] [PREFIX=/usr/local]    programs, unit, completion, manual page, documents
#   make uninstall                                  … away again; 'wherry uninstall' first
#   make deb                                        build/wherry_VERSION_ARCH.deb
#   make tarball                                    build/wherry-VERSION-ARCH.tar.xz, to be unpacked at /

DESTDIR ?=
PREFIX ?= /usr/local
UNITDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib/systemd/system,/etc/systemd/system)
VERSION = $(shell sed -n 's/.*WHERRY_VERSION "\(.*\)"/\1/p' node/node.h)
DEB_ARCH = $(shell dpkg --print-architecture)
SHARE = $(DESTDIR)$(PREFIX)/share
STAGE = build/stage

.PHONY: install uninstall deb tarball stage

# The programs are side by side; the command is a link to one of them.
install: all
	install -d $(DESTDIR)$(PREFIX)/lib/wherry $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNITDIR) $(DESTDIR)/etc/default \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d $(SHARE)/bash-completion/completions $(SHARE)/zsh/vendor-completions \
	  $(SHARE)/fish/vendor_completions.d $(SHARE)/doc/wherry/docs $(SHARE)/wherry \
	  $(SHARE)/man/man1
	install -m 755 wherry wherry-shim wherry-image $(DESTDIR)$(PREFIX)/lib/wherry/
	ln -sf ../lib/wherry/wherry $(DESTDIR)$(PREFIX)/bin/wherry
	sed 's,/usr/lib/wherry,$(PREFIX)/lib/wherry,; s,/usr/share/doc,$(PREFIX)/share/doc,' deploy/systemd/wherry.service \
	  >$(DESTDIR)$(UNITDIR)/wherry.service
	install -m 644 deploy/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/wherry.conf
	[ -e $(DESTDIR)/etc/default/wherry ] || install -m 644 deploy/systemd/default $(DESTDIR)/etc/default/wherry
	./wherry completion bash >$(SHARE)/bash-completion/completions/wherry
	./wherry completion zsh >$(SHARE)/zsh/vendor-completions/_wherry
	./wherry completion fish >$(SHARE)/fish/vendor_completions.d/wherry.fish
	./wherry manual | gzip -9n >$(SHARE)/man/man1/wherry.1.gz
	install -m 644 README.md ADOPTERS.md LICENSE $(SHARE)/doc/wherry/
	install -m 644 docs/*.md $(SHARE)/doc/wherry/docs/
	install -m 644 deploy/grafana/wherry.json $(SHARE)/wherry/grafana.json

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/lib/wherry $(DESTDIR)$(UNITDIR)/wherry.service \
	  $(DESTDIR)$(PREFIX)/lib/sysusers.d/wherry.conf $(SHARE)/bash-completion/completions/wherry \
	  $(SHARE)/zsh/vendor-completions/_wherry $(SHARE)/fish/vendor_completions.d/wherry.fish \
	  $(SHARE)/doc/wherry $(SHARE)/wherry $(SHARE)/man/man1/wherry.1.gz $(DESTDIR)$(PREFIX)/bin/wherry $(DESTDIR)/etc/default/wherry

stage:
	rm -rf $(STAGE)
	$(MAKE) install DESTDIR=$(abspath $(STAGE)) PREFIX=/usr
	strip --strip-unneeded $(STAGE)/usr/lib/wherry/wherry $(STAGE)/usr/lib/wherry/wherry-image

deb: stage
	deploy/debian/build.sh $(STAGE) $(VERSION) $(DEB_ARCH) build/wherry_$(VERSION)_$(DEB_ARCH).deb

tarball: stage
	tar -C $(STAGE) --owner=0 --group=0 --sort=name -cJf build/wherry-$(VERSION)-$(DEB_ARCH).tar.xz .
	@echo build/wherry-$(VERSION)-$(DEB_ARCH).tar.xz
