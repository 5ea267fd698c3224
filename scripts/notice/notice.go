package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// preface is what cannot be asked of the go command: C libraries are not
// modules.
//
//go:embed preface.txt
var preface string

//go:embed LGPL-2.1.txt
var lgpl string

// notice returns the whole text for the module at root.
func notice(root string) (string, error) {
	modules, err := embedded(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(preface)
	heading(&b, "Modules")
	b.WriteString("warren is the binary itself; the others are programs that it carries.\n\n")
	writeModules(&b, modules)
	heading(&b, "Notices of these modules")
	writeNotices(&b, modules)
	heading(&b, "License texts")
	b.WriteString("The Apache License 2.0 is in the file LICENSE; the others follow, each with\nthe modules under it and their copyright lines.\n")
	writeLicenses(&b, modules)
	fmt.Fprintf(&b, "\n--- LGPL-2.1\n\nlibseccomp, GNU C Library\n\n%s\n", tidy(lgpl))
	return b.String(), nil
}

func heading(b *strings.Builder, text string) {
	fmt.Fprintf(b, "\n%s\n%s\n%s\n\n", strings.Repeat("=", 78), text, strings.Repeat("=", 78))
}

func writeModules(b *strings.Builder, modules []*module) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, m := range modules {
		var names []string
		for _, l := range m.licenses {
			names = append(names, strings.Split(l.name, " AND ")...)
		}
		slices.Sort(names)
		names = slices.Compact(names)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.Path, m.Version, strings.Join(names, " AND "), strings.Join(m.programs, ", "))
	}
	w.Flush()
}

// writeNotices writes each text once: the modules of one project share theirs.
func writeNotices(b *strings.Builder, modules []*module) {
	of := map[string][]string{}
	var order []string
	for _, m := range modules {
		for _, text := range m.notices {
			if of[text] == nil {
				order = append(order, text)
			}
			of[text] = append(of[text], m.Path)
		}
	}
	for _, text := range order {
		fmt.Fprintf(b, "--- %s\n\n%s\n\n", strings.Join(of[text], ", "), text)
	}
}

// text is one license's terms, and who is under them.
type text struct {
	license
	modules []*module
	holders map[*module][]string
}

func writeLicenses(b *strings.Builder, modules []*module) {
	for _, t := range texts(modules) {
		fmt.Fprintf(b, "\n--- %s\n\n", t.name)
		for _, m := range t.modules {
			fmt.Fprintf(b, "%s\n", m.Path)
			for _, holder := range t.holders[m] {
				fmt.Fprintf(b, "    %s\n", holder)
			}
		}
		fmt.Fprintf(b, "\n%s\n", t.terms)
	}
}

// texts lists the distinct terms but the Apache License's, which is Warren's
// own.
func texts(modules []*module) []*text {
	by := map[string]*text{}
	var order []*text
	for _, m := range modules {
		for _, l := range m.licenses {
			if l.name == "Apache-2.0" {
				continue
			}
			t := by[l.key()]
			if t == nil {
				t = &text{license: l, holders: map[*module][]string{}}
				by[l.key()] = t
				order = append(order, t)
			}
			if !slices.Contains(t.modules, m) {
				t.modules = append(t.modules, m)
			}
			t.holders[m] = append(t.holders[m], l.copyrights...)
		}
	}
	return order
}
