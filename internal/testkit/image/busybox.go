package image

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// applets are the names that busybox is called by.
var applets = []string{
	"awk", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dmesg", "du", "echo", "env", "expr", "false",
	"find", "grep", "head", "hostname", "httpd", "id", "ip", "kill", "ln", "ls", "md5sum", "mkdir", "mkfifo", "mknod",
	"mount", "mv", "nc", "nslookup", "od", "ping", "printf", "ps", "pwd", "readlink", "rm", "rmdir", "sed", "seq",
	"sh", "sha256sum", "sleep", "sort", "stat", "stty", "sync", "tail", "tar", "tee", "test", "top", "touch", "tr",
	"true", "truncate", "tty", "umount", "uname", "unlink", "usleep", "vi", "wc", "wget", "whoami", "yes",
}

// Busybox is busybox:latest: a shell and the usual commands in one static
// program of 2 MB, with users root, app (1000, also of group extra) and nobody.
func Busybox(ctx context.Context) (Image, error) {
	const name = "docker.io/library/busybox:latest"
	l := newLayer()
	if err := l.system(); err != nil {
		return Image{}, err
	}
	files := []struct{ path, content string }{
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
		{"etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\nnogroup:x:65534:\n"},
	}
	for _, f := range files {
		if err := l.file(f.path, 0o644, f.content); err != nil {
			return Image{}, err
		}
	}
	if err := l.dir("home", 0o755, 0); err != nil {
		return Image{}, err
	}
	if err := l.dir("home/app", 0o755, 1000); err != nil {
		return Image{}, err
	}
	if err := l.packages(ctx, []string{"busybox-static"}); err != nil {
		return Image{}, err
	}
	for _, applet := range applets {
		if err := l.link("usr/bin/"+applet, "busybox"); err != nil {
			return Image{}, err
		}
	}
	whole, err := l.finish()
	if err != nil {
		return Image{}, err
	}
	return assemble(name, v1.Config{
		Cmd: []string{"sh"},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}, whole)
}
