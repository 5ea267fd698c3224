package consensus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// savedPath is where a database is kept as it was in an older format.
func savedPath(database string, format uint64) string {
	return fmt.Sprintf("%s.format%d", database, format)
}

// saveBeforeMigration copies a database of an older format before it is brought
// to the present one, which an older Warren does not read. A copy that is there
// already is from a start that was killed, or from one before a way back.
func (c *Consensus) saveBeforeMigration(f found) error {
	if !f.hasDatabase || f.format == 0 || f.format >= format {
		return nil
	}
	saved := savedPath(f.path, f.format)
	from, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := writeFile(saved+".new", from); err != nil {
		return fmt.Errorf("%s is of an older version, and cannot be saved before it is brought to this one's: %w", f.path, errors.Join(err, os.Remove(saved+".new")))
	}
	if err := rename(saved+".new", saved); err != nil {
		return err
	}
	c.log.Info("the database is brought to this version's format, and kept as it was", "format", format, "before", saved)
	return nil
}

// dropSaved removes what upgrades have kept: an earlier unlock key opens it.
func (c *Consensus) dropSaved() error {
	saved, err := filepath.Glob(c.databasePath() + ".format*")
	for _, path := range saved {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
