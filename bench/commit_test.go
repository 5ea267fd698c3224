//go:build bench

package bench

import (
	"fmt"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
)

const commitAim = 0.8

// TestCommit has one and many clients write to three managers, and to three
// members of etcd, on the same disk: secrets of 1 KiB here, keys with values of
// 1 KiB there.
func TestCommit(t *testing.T) {
	c, r := startTrio(t), result
	leader := c.addresses[c.await(t, 3)]
	ours, etcds := make([]creator, many), make([]creator, many)
	members, conns := startEtcd(t, many)
	for i, conn := range conns {
		etcds[i] = etcdPut(conn)
	}
	for i := range many {
		m, err := client.Dial(t.Context(), client.Options{Manager: leader, Home: c.home()})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		cluster, err := m.Clusters.GetCluster(t.Context(), &warrenv1.GetClusterRequest{})
		if err != nil {
			t.Fatal(err)
		}
		ours[i] = (&node{cluster: cluster}).creator(t, m)
	}
	var disk, one, oneEtcd, all, allEtcd samples
	before, beforeEtcd := workedAll(t, c.managers), workedAll(t, members)
	for i := range rounds {
		disk = append(disk, diskRate(t, c.dir))
		one = append(one, rate(t, ours[:1], secretsOfOne, fmt.Sprint("w1-", i)))
		oneEtcd = append(oneEtcd, rate(t, etcds[:1], secretsOfOne, fmt.Sprint("e1-", i)))
		all = append(all, rate(t, ours, secretsOfMany, fmt.Sprint("w32-", i)))
		allEtcd = append(allEtcd, rate(t, etcds, secretsOfMany, fmt.Sprint("e32-", i)))
	}
	const written = rounds * (secretsOfOne + secretsOfMany)
	r.note("processor time of all three for one commit: Warren %.2f ms, etcd %.2f ms",
		(workedAll(t, c.managers)-before)*1e3/written, (workedAll(t, members)-beforeEtcd)*1e3/written)
	r.measurement("write and fdatasync of 1 KiB", "/s", disk)
	r.measurement("commits on three managers, 1 client, Warren", "/s", one)
	r.measurement("commits on three members, 1 client, etcd", "/s", oneEtcd)
	r.measurement("commits on three managers, 32 clients, Warren", "/s", all)
	r.measurement("commits on three members, 32 clients, etcd", "/s", allEtcd)
	r.atLeast("commits on three, 1 client, to etcd", one.median()/oneEtcd.median(), commitAim, "x")
	r.atLeast("commits on three, 32 clients, to etcd", all.median()/allEtcd.median(), commitAim, "x")
}

func workedAll(t *testing.T, all [3]*process) (seconds float64) {
	t.Helper()
	for _, p := range all {
		seconds += p.worked(t)
	}
	return seconds
}
