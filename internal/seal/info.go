package seal

// The info of an envelope binds it to its one purpose; each has its own label,
// and the fields are encoded so that no two purposes share an info.

// ToClusterInfo binds the value of a secret that a client sends to the
// cluster: nobody can put it under another name, namespace or key. The
// namespace is the real one, never empty.
func ToClusterInfo(clusterID, namespace, name, item string) []byte {
	return encode("warren to cluster: secret v1",
		[]byte(clusterID), []byte(namespace), []byte(name), []byte(item))
}

// ToClusterRegistryInfo binds the password of a registry that a client sends
// to the cluster to the registry's host.
func ToClusterRegistryInfo(clusterID, host string) []byte {
	return encode("warren to cluster: registry v1", []byte(clusterID), []byte(host))
}

// ToManagerInfo binds the unlock key on its way to a manager that joins, or is
// unlocked.
func ToManagerInfo(clusterID, nodeID string) []byte {
	return encode("warren to manager: unlock key v1", []byte(clusterID), []byte(nodeID))
}

// ToClusterUnlockInfo binds the next unlock key that a person sends to the
// cluster.
func ToClusterUnlockInfo(clusterID string) []byte {
	return encode("warren to cluster: unlock key v1", []byte(clusterID))
}

// ToHolderInfo binds the unlock key on its way to who may have it: a person, or
// a manager that has an earlier one. The public key is the receiver's.
func ToHolderInfo(clusterID string, publicKey []byte) []byte {
	return encode("warren to holder: unlock key v1", []byte(clusterID), publicKey)
}

// ToTaskInfo binds a value on its way to a worker to the one task that may
// have it.
func ToTaskInfo(clusterID, nodeID, taskID, secretID string, version uint64, item string) []byte {
	return encode("warren to task v1", []byte(clusterID), []byte(nodeID), []byte(taskID),
		[]byte(secretID), number(version), []byte(item))
}

// ToExportInfo binds a value on its way to who exports it.
func ToExportInfo(clusterID, namespace, secretID string, version uint64, item string) []byte {
	return encode("warren to export v1",
		[]byte(clusterID), []byte(namespace), []byte(secretID), number(version), []byte(item))
}
