// Package privatefile keeps files that only their owner may read, such as keys:
// it refuses to read one that others can read too, and replaces a file as a
// whole or not at all, even if the machine loses power meanwhile. It is not for
// large files, and locks nothing: two writers at once need a lock of their own.
package privatefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Read returns the file's contents. An absent file is fs.ErrNotExist.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 it", path)
	}
	return os.ReadFile(path)
}

// Replace writes the file with mode 0600, or leaves what was there. A crash
// before the rename leaves the old file, and after it the new one: the contents
// reach the disk before the name does, and the name before Replace returns.
func Replace(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new") // mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
