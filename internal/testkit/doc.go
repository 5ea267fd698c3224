// Package testkit makes real parts of Warren for the tests of other packages:
// they run the same code as a node, on directories of the test.
package testkit
