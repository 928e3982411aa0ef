package sqldb

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// blobAge is how old a file without a row must be before Sweep removes it.
const blobAge = 24 * time.Hour

// Blobs is the folder of contents too large for a row. A file is written once, belongs to one row and is removed
// with it. A file whose row was never written is swept after a day.
type Blobs struct {
	dir string
}

// OpenBlobs makes the folder when it is not there.
func OpenBlobs(dir string) (*Blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the blob folder: %w", err)
	}
	if err := syncFolder(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("the blob folder: %w", err)
	}
	return &Blobs{dir: dir}, nil
}

// Dir is the folder.
func (b *Blobs) Dir() string { return b.dir }

// Blob is a file that is being written. It ends with Commit or Discard.
type Blob struct {
	file  *os.File
	name  string
	blobs *Blobs
}

// Create begins a new file.
func (b *Blobs) Create() (*Blob, error) {
	name := strings.ToLower(rand.Text())
	f, err := os.OpenFile(filepath.Join(b.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, storageFault("making a content file", err)
	}
	return &Blob{file: f, name: name, blobs: b}, nil
}

// Name is the file's name in the folder.
func (b *Blob) Name() string { return b.name }

// Write appends to the file.
func (b *Blob) Write(p []byte) (int, error) {
	n, err := b.file.Write(p)
	if err != nil {
		return n, storageFault("writing a content file", err)
	}
	return n, nil
}

// ReadAt reads what was written, before and after Commit, until Close.
func (b *Blob) ReadAt(p []byte, off int64) (int, error) { return b.file.ReadAt(p, off) }

// Commit makes the file and its name durable: one flush of the file and one of the folder. The row follows.
func (b *Blob) Commit() error {
	err := b.file.Sync()
	if err == nil {
		err = syncFolder(b.blobs.dir)
	}
	if err := errors.Join(err, b.file.Close()); err != nil {
		return errors.Join(storageFault("flushing a content file", err), b.blobs.Remove(b.name))
	}
	return nil
}

// Discard removes the file.
func (b *Blob) Discard() error {
	return errors.Join(b.file.Close(), b.blobs.Remove(b.name))
}

// Open reads a file. In place of io.EOF comes ErrCorrupt when its length or xxHash64 is not the one given, so whoever
// reads up to io.EOF has read what was written.
func (b *Blobs) Open(name string, size int64, hash uint64) (io.ReadCloser, error) {
	f, err := b.OpenAt(name, size, hash)
	if err != nil {
		return nil, err
	}
	return &verified{Reader: f.Whole(), Closer: f}, nil
}

// File is a content file that is read at any place.
type File struct {
	file *os.File
	size int64
	hash uint64
}

// OpenAt opens a file of the given length and xxHash64.
func (b *Blobs) OpenAt(name string, size int64, hash uint64) (*File, error) {
	path, err := b.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the content file is gone: %w", ErrCorrupt, err)
	}
	if err != nil {
		return nil, storageFault("opening a content file", err)
	}
	return &File{file: f, size: size, hash: hash}, nil
}

// Size is the length that the file should have.
func (f *File) Size() int64 { return f.size }

// ReadAt reads a range as it lies on the disk.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.file.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = storageFault("reading a content file", err)
	}
	return n, err
}

// Whole reads the file from its beginning. In place of io.EOF comes ErrCorrupt when its length or xxHash64 is not as it
// should be.
func (f *File) Whole() io.Reader {
	return &verifying{file: f.file, digest: xxhash.New(), left: f.size, hash: f.hash}
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func (b *Blobs) path(name string) (string, error) {
	if name == "" || !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\") {
		return "", fmt.Errorf("%w: %q is no name of a content file", ErrCorrupt, name)
	}
	return filepath.Join(b.dir, name), nil
}

// Link gives each content a second name, with an owner of its own, and makes the new names durable with one flush.
// On error none of them remains.
func (b *Blobs) Link(names ...string) (links []string, err error) {
	defer func() {
		if err != nil {
			for _, link := range links {
				err = errors.Join(err, b.Remove(link))
			}
			links = nil
		}
	}()
	for _, name := range names {
		path, err := b.path(name)
		if err != nil {
			return links, err
		}
		link := strings.ToLower(rand.Text())
		if err := os.Link(path, filepath.Join(b.dir, link)); err != nil {
			return links, storageFault("linking a content file", err)
		}
		links = append(links, link)
	}
	if len(links) > 0 {
		if err := syncFolder(b.dir); err != nil {
			return links, storageFault("flushing the blob folder", err)
		}
	}
	return links, nil
}

// Remove removes files; those that are gone are no error.
func (b *Blobs) Remove(names ...string) error {
	var errs []error
	for _, name := range names {
		path, err := b.path(name)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, storageFault("removing a content file", err))
		}
	}
	return errors.Join(errs...)
}

// Sweep removes files that are older than a day and that nobody owns, and gives their number. owned tells which of
// the given names have a row.
func (b *Blobs) Sweep(now time.Time, owned func(names []string) (map[string]bool, error)) (int, error) {
	dir, err := os.Open(b.dir)
	if err != nil {
		return 0, storageFault("reading the blob folder", err)
	}
	removed := 0
	for {
		entries, err := dir.ReadDir(512)
		if err != nil && !errors.Is(err, io.EOF) {
			return removed, errors.Join(storageFault("reading the blob folder", err), dir.Close())
		}
		n, sweepErr := b.sweep(now, entries, owned)
		removed += n
		if err != nil || sweepErr != nil {
			return removed, errors.Join(sweepErr, dir.Close())
		}
	}
}

func (b *Blobs) sweep(now time.Time, entries []fs.DirEntry, owned func(names []string) (map[string]bool, error)) (int, error) {
	var old []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && now.Sub(changed(info)) > blobAge {
			old = append(old, entry.Name())
		}
	}
	if len(old) == 0 {
		return 0, nil
	}
	has, err := owned(old)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, name := range old {
		if !has[name] {
			if err := b.Remove(name); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func storageFault(doing string, err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w: %s: %w", ErrStorage, ErrFull, doing, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrStorage, doing, err)
}

// Sum is the checksum of a content.
func Sum(content []byte) uint64 { return xxhash.Sum64(content) }

// verified is a file that is read from its beginning.
type verified struct {
	io.Reader
	io.Closer
}

// verifying reads a file and compares its length and checksum at the end.
type verifying struct {
	file   io.ReaderAt
	at     int64
	digest *xxhash.Digest
	left   int64
	hash   uint64
	err    error
}

func (v *verifying) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.file.ReadAt(p, v.at)
	v.at += int64(n)
	_, _ = v.digest.Write(p[:n]) // a hash takes everything
	v.left -= int64(n)
	switch {
	case v.left < 0:
		v.err = ErrCorrupt
	case errors.Is(err, io.EOF):
		v.err = io.EOF
		if v.left != 0 || v.digest.Sum64() != v.hash {
			v.err = ErrCorrupt
		}
	case err != nil:
		v.err = storageFault("reading a content file", err)
	default:
		return n, nil
	}
	return n, v.err
}
