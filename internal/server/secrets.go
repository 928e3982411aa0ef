package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postroad/internal/core/seal"
)

// sealFile is the file in the data folder with the secret under which keys lie in the store.
const sealFile = "keys.secret"

// sealBox opens the box under which keys lie in the store. The secret is made at the first start; without it the keys in
// a store are lost, so that it belongs into every backup, apart from those of the store.
func (s *Server) sealBox() (*seal.Box, error) {
	path := filepath.Join(s.cfg.DataDir, sealFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("the secret of the installation's keys: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the secret of the installation's keys: %s is damaged: %w", path, err)
	}
	box, err := seal.New(secret)
	if err != nil {
		return nil, fmt.Errorf("the secret of the installation's keys: %s: %w", path, err)
	}
	return box, nil
}

// makeSecret writes a new secret durably, and for its owner alone.
func makeSecret(path string) (text []byte, err error) {
	secret := make([]byte, seal.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	text = []byte(hex.EncodeToString(secret) + "\n")
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return text, errors.Join(folder.Sync(), folder.Close())
}
