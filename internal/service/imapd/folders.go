package imapd

import (
	"errors"
	"slices"
	"strings"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
)

// create answers CREATE (RFC 9051 §6.3.4, RFC 6154 §3).
func (s *session) create(r *imap.Request, c imap.Create) error {
	_, err := s.service.store.CreateFolder(s.changing(), s.scope, s.box(), c.Mailbox, c.Use)
	if err != nil {
		return s.failed(r, err)
	}
	return s.doneSelected(r, "", true)
}

// delete answers DELETE (RFC 9051 §6.3.5).
func (s *session) delete(r *imap.Request, c imap.Delete) error {
	ctx := s.changing()
	if s.sel != nil {
		folder, err := s.service.store.Folder(ctx, s.scope, s.box(), c.Mailbox)
		if err == nil && folder.Number == s.sel.folder {
			return refusal(r, imap.NO, imap.CodeInUse, "This mailbox is selected.")
		}
	}
	if err := s.service.store.DeleteFolder(ctx, s.scope, s.box(), c.Mailbox); err != nil {
		return s.failed(r, err)
	}
	return s.doneSelected(r, "", true)
}

// rename answers RENAME (RFC 9051 §6.3.6).
func (s *session) rename(r *imap.Request, c imap.Rename) error {
	if err := s.service.store.RenameFolder(s.changing(), s.scope, s.box(), c.From, c.To); err != nil {
		return s.failed(r, err)
	}
	return s.doneSelected(r, "", true)
}

// subscribe answers SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7, §6.3.8).
func (s *session) subscribe(r *imap.Request, name string, on bool) error {
	if err := s.service.store.Subscribe(s.changing(), s.scope, s.box(), name, on); err != nil {
		return s.failed(r, err)
	}
	return s.doneSelected(r, "", true)
}

// attributesOf gives the attributes that a folder always has in LIST.
func attributesOf(f mailbox.Folder) []string {
	if f.SpecialUse == "" {
		return nil
	}
	return []string{f.SpecialUse}
}

// listed is a name that LIST may tell.
type listed struct {
	folder     mailbox.Folder
	there      bool // there is such a folder; else the name was subscribed to, or stands above another one
	subscribed bool
	children   bool
}

// names gives all names that LIST may tell, sorted, INBOX first.
func (s *session) names() ([]listed, error) {
	ctx, store := s.context(), s.service.store
	folders, err := store.Folders(ctx, s.scope, s.box())
	if err != nil {
		return nil, err
	}
	subscriptions, err := store.Subscriptions(ctx, s.scope, s.box())
	if err != nil {
		return nil, err
	}
	subscribed := make(map[string]bool, len(subscriptions))
	for _, name := range subscriptions {
		subscribed[name] = true
	}
	list := make([]listed, 0, len(folders))
	parents := map[string]bool{} // whether a folder lies below
	known := map[string]bool{}
	for _, f := range folders {
		list = append(list, listed{folder: f, there: true, subscribed: subscribed[f.Name]})
		known[f.Name] = true
		for parent := range mailbox.Parents(f.Name) {
			parents[parent] = true
		}
	}
	for _, name := range subscriptions {
		if !known[name] {
			known[name] = true
			list = append(list, listed{folder: mailbox.Folder{Name: name}, subscribed: true})
		}
		for parent := range mailbox.Parents(name) {
			if !parents[parent] {
				parents[parent] = false // a name all the same
			}
		}
	}
	for name := range parents {
		if !known[name] {
			list = append(list, listed{folder: mailbox.Folder{Name: name}})
		}
	}
	slices.SortStableFunc(list, func(a, b listed) int {
		if inboxA, inboxB := a.folder.Name == mailbox.InboxName, b.folder.Name == mailbox.InboxName; inboxA != inboxB {
			if inboxA {
				return -1
			}
			return 1
		}
		return strings.Compare(a.folder.Name, b.folder.Name)
	})
	for i := range list {
		list[i].children = parents[list[i].folder.Name]
	}
	return list, nil
}

// list answers LIST (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154).
func (s *session) list(r *imap.Request, c imap.List) error {
	if len(c.Patterns) == 1 && c.Patterns[0] == "" && !c.Extended {
		s.out.List(imap.Listed{Attributes: []string{`\Noselect`}})
		return s.done(r, "")
	}
	octets := 0
	for _, p := range c.Patterns {
		octets += len(c.Reference) + len(p)
	}
	if octets > maxPatterns {
		return refusal(r, imap.NO, imap.CodeLimit, "The patterns are too long.")
	}
	names, err := s.names()
	if err != nil {
		return s.failed(r, err)
	}
	matches := func(name string) bool {
		return slices.ContainsFunc(c.Patterns, func(p string) bool {
			return p != "" && imap.Matches(c.Reference+p, name, mailbox.Delimiter[0])
		})
	}
	for i, n := range names {
		if !matches(n.folder.Name) {
			continue
		}
		var below []string // what RECURSIVEMATCH finds below
		if c.RecursiveMatch && c.Subscribed && slices.ContainsFunc(names[i+1:], func(o listed) bool {
			return o.subscribed && mailbox.Below(o.folder.Name, n.folder.Name) && !matches(o.folder.Name)
		}) {
			below = []string{"SUBSCRIBED"}
		}
		fits := n.there || n.children && slices.ContainsFunc(c.Patterns, endsWithLevel)
		if c.Subscribed {
			fits = n.subscribed || below != nil
		}
		if !fits || c.SpecialUse && n.folder.SpecialUse == "" {
			continue
		}
		s.out.List(imap.Listed{Attributes: n.attributes(c), Name: n.folder.Name, ChildInfo: below})
		if len(c.ReturnStatus) > 0 && n.there {
			if err := s.tellStatus(n.folder, c.ReturnStatus); err != nil {
				return s.failed(r, err)
			}
		}
	}
	return s.doneSelected(r, "", true)
}

// endsWithLevel reports whether a pattern asks for levels of the hierarchy too (RFC 9051 §6.3.9).
func endsWithLevel(pattern string) bool { return strings.HasSuffix(pattern, "%") }

// attributes gives what LIST tells of a name, whether others lie below it included (RFC 3348).
func (n listed) attributes(c imap.List) []string {
	var list []string
	if !n.there {
		list = append(list, `\NonExistent`, `\Noselect`)
	}
	if n.subscribed && (c.Subscribed || c.ReturnSubscribed) {
		list = append(list, `\Subscribed`)
	}
	switch {
	case n.children:
		list = append(list, `\HasChildren`)
	case n.there:
		list = append(list, `\HasNoChildren`)
	}
	return append(list, attributesOf(n.folder)...)
}

// lsub answers LSUB (RFC 3501 §6.3.9).
func (s *session) lsub(r *imap.Request, c imap.LSub) error {
	pattern := c.Reference + c.Pattern
	if len(pattern) > maxPatterns {
		return refusal(r, imap.NO, imap.CodeLimit, "The pattern is too long.")
	}
	names, err := s.names()
	if err != nil {
		return s.failed(r, err)
	}
	told := map[string]bool{}
	for _, n := range names {
		if !n.subscribed {
			continue
		}
		name := n.folder.Name
		if imap.Matches(pattern, name, mailbox.Delimiter[0]) {
			if !told[name] {
				told[name] = true
				s.out.LSub(imap.Listed{Name: name})
			}
			continue
		}
		if !endsWithLevel(pattern) {
			continue
		}
		for parent := range mailbox.Parents(name) { // one above a subscribed one (RFC 3501 §6.3.9)
			if imap.Matches(pattern, parent, mailbox.Delimiter[0]) && !told[parent] {
				told[parent] = true
				s.out.LSub(imap.Listed{Attributes: []string{`\Noselect`}, Name: parent})
			}
		}
	}
	return s.doneSelected(r, "", true)
}

// status answers STATUS (RFC 9051 §6.3.11).
func (s *session) status(r *imap.Request, c imap.StatusOf) error {
	folder, err := s.service.store.Folder(s.context(), s.scope, s.box(), c.Mailbox)
	if err == nil {
		err = s.tellStatus(folder, c.Items)
	}
	if err != nil {
		return s.failed(r, err)
	}
	return s.doneSelected(r, "", true)
}

// tellStatus tells the state of a folder.
func (s *session) tellStatus(f mailbox.Folder, items []imap.StatusItem) error {
	values := make([]imap.StatusValue, 0, len(items))
	for _, item := range items {
		var n int64
		switch item {
		case imap.StatusMessages:
			n = f.Messages
		case imap.StatusUIDNext:
			n = int64(f.UIDNext)
		case imap.StatusUIDValidity:
			n = int64(f.UIDValidity)
		case imap.StatusUnseen:
			n = f.Unseen
		case imap.StatusDeleted:
			n = f.Deleted
		case imap.StatusSize:
			n = f.Bytes
		case imap.StatusHighestModSeq:
			n = f.HighestModSeq
			s.enabled.condStore = true // RFC 7162 §3.1.7
		case imap.StatusAppendLimit:
			n = s.service.cfg.MessageSize
		case imap.StatusRecent: // nobody is told of what is recent before the folder is selected
		case imap.StatusDeletedStorage:
			var err error
			if n, err = s.deletedStorage(f); err != nil {
				return err
			}
		}
		values = append(values, imap.StatusValue{Item: item, Value: uint64(n)})
	}
	s.out.MailboxStatus(f.Name, values)
	return nil
}

// deletedStorage gives the octets of a folder's messages that have \Deleted (RFC 9208 §4.1.4).
func (s *session) deletedStorage(f mailbox.Folder) (int64, error) {
	if f.Deleted == 0 {
		return 0, nil
	}
	index, err := s.service.store.Index(s.context(), s.scope, s.box(), f.Number, nil)
	if err != nil {
		if errors.Is(err, mailbox.ErrNoFolder) {
			return 0, nil
		}
		return 0, err
	}
	var uids []uint32
	for _, e := range index.All() {
		if e.Flags.Has(mailbox.Deleted) {
			uids = append(uids, e.UID)
		}
	}
	facts, err := s.service.store.Facts(s.context(), s.scope, s.box(), f.Number, uids)
	var octets int64
	for _, fact := range facts {
		octets += fact.Size
	}
	return octets, err
}
