package volume

// DriverHost is the name under which a Manager has the driver of package
// hostpath, whose volumes are files and directories of the node itself.
const DriverHost = "host"

// HostPath names a file or directory of the node as a volume of that driver.
func HostPath(path string) Volume {
	return Volume{ID: path, Name: path, Driver: DriverHost}
}
