// Command notice writes NOTICE: what the binary contains of others, under which
// licenses, and their texts. It asks the go command for the modules of each
// embedded program, so that nothing has to be remembered by hand:
//
//	go run ./scripts/notice > NOTICE
package main

import (
	"fmt"
	"os"
)

func main() {
	text, err := notice(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "notice:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString(text)
}
