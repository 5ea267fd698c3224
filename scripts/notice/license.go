package main

import (
	"regexp"
	"strings"
)

// license is a license file, taken apart: what modules share is the terms.
type license struct {
	// name is in SPDX's words, several joined with AND; empty for a text that
	// is none of those known here.
	name string
	// copyrights are the lines that say whose it is.
	copyrights []string
	terms      string
}

// marks are phrases that only one license has.
var marks = []struct{ name, phrase string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MPL-2.0", "mozilla public license version 2.0"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"ISC", "permission to use, copy, modify, and distribute this software for any purpose"},
	{"BSD-2-Clause", "redistributions in binary form must reproduce the above copyright notice"},
}

// A third condition makes BSD's two-clause license the three-clause one.
var thirdClause = regexp.MustCompile(`neither the names? of|may not be used to endorse or promote`)

func newLicense(text string) license {
	words := strings.ReplaceAll(strings.ToLower(strings.Join(strings.Fields(text), " ")), "license, version", "license version")
	var names []string
	for _, m := range marks {
		if !strings.Contains(words, m.phrase) {
			continue
		}
		name := m.name
		if name == "BSD-2-Clause" && thirdClause.MatchString(words) {
			name = "BSD-3-Clause"
		}
		names = append(names, name)
	}
	l := license{name: strings.Join(names, " AND ")}
	l.copyrights, l.terms = apart(text)
	return l
}

var (
	copyrightLine = regexp.MustCompile(`(?i)^\W*(copyright\s+(\(c\)|©|\d|the |20)|©|\(c\) ).*`)
	titleLine     = regexp.MustCompile(`(?i)^\W*(the )?(mit|isc|bsd|new bsd|simplified bsd)[ \w-]*licen[sc]e\W*(\(\w+\))?\W*$|^all rights reserved\.?$`)
)

// apacheText is the whole license, which some put in front of another.
var apacheText = regexp.MustCompile(`(?s)[ \t]*Apache License\s+Version 2\.0, January 2004.*?limitations under the License\.`)

// apart takes copyright lines, titles and the Apache License, which everybody
// has at hand, from a text.
func apart(text string) (copyrights []string, terms string) {
	var rest []string
	for _, line := range strings.Split(apacheText.ReplaceAllString(tidy(text), ""), "\n") {
		switch plain := strings.TrimSpace(line); {
		case copyrightLine.MatchString(plain):
			copyrights = append(copyrights, plain)
		case titleLine.MatchString(plain):
		default:
			rest = append(rest, line)
		}
	}
	return copyrights, tidy(strings.Join(rest, "\n"))
}

// key is the same for terms that differ in line breaks, quotes and case only,
// and for all copies of a license that has one text.
func (l license) key() string {
	if l.name == "MPL-2.0" {
		return l.name
	}
	return strings.ToLower(strings.Join(regexp.MustCompile(`[A-Za-z0-9]+`).FindAllString(l.terms, -1), " "))
}

var blankLines = regexp.MustCompile(`\n{3,}`)

// tidy takes away spaces at line ends, and blank lines where one does.
func tidy(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\f")
	}
	return strings.Trim(blankLines.ReplaceAllString(strings.Join(lines, "\n"), "\n\n"), "\n")
}
