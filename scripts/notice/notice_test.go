package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// versions are left out of the comparison: an update that brings neither a new
// module nor other terms is no news here until `make notice` runs again.
var versions = regexp.MustCompile(`(?m)\b(v\d[\w.+-]*|go1\.\d+\.\d+)[ \t]+|[ \t]+`)

func TestNoticeIsCurrent(t *testing.T) {
	want, err := notice("../..")
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := versions.ReplaceAllString(string(is), " "), versions.ReplaceAllString(want, " "); a != b {
		t.Errorf("NOTICE does not say what the binary contains now; run: make notice%s", firstDifference(a, b))
	}
}

func firstDifference(is, want string) string {
	a, b := strings.Split(is, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "\n has " + a[i] + "\nwant " + b[i]
		}
	}
	return ""
}

func TestLicensesAreKnownByTheirWords(t *testing.T) {
	bsd := "Redistributions in binary form must\nreproduce the above copyright notice."
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":   "Apache-2.0",
		"Licensed under the Apache License, Version 2.0": "Apache-2.0",
		"Mozilla Public License, version 2.0":            "MPL-2.0",
		bsd:                                              "BSD-2-Clause",
		bsd + " Neither the name of Google Inc. nor":     "BSD-3-Clause",
		"Permission is hereby granted, free of charge, to any person obtaining a copy": "MIT",
		"All your base": "",
	} {
		if got := newLicense(text).name; got != want {
			t.Errorf("%q is taken for %q, not %q", text, got, want)
		}
	}
}

func TestCopyrightsAreTakenApartFromTerms(t *testing.T) {
	a := newLicense("The MIT License (MIT)\n\nCopyright (c) 2014 Somebody\n\nPermission is hereby granted, free of charge,\nto any person obtaining a copy\n")
	b := newLicense("MIT License\n\nCopyright 2020 The Others\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy")
	if a.key() != b.key() || a.key() == "" {
		t.Errorf("the same terms differ: %q, %q", a.terms, b.terms)
	}
	if len(a.copyrights) != 1 || a.copyrights[0] != "Copyright (c) 2014 Somebody" {
		t.Errorf("copyrights: %q", a.copyrights)
	}
}
