package network

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

const tableName = "clawft"

// Apply makes the table what the policy says, in one step: at no moment is there less than before. It
// changes nothing, and returns false, when everything is in place. It needs CAP_NET_ADMIN.
func Apply(p Policy) (changed bool, err error) {
	return apply(p.rules())
}

func apply(want ruleset) (bool, error) {
	comments, err := want.comments()
	if err != nil {
		return false, err
	}
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("opening nftables: %w", err)
	}
	same, err := inPlace(conn, want, comments)
	if err != nil || same {
		return false, err
	}

	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
	// What is not there cannot be deleted, so it is added first.
	conn.AddTable(table)
	conn.DelTable(table)
	conn.AddTable(table)
	policy := nftables.ChainPolicyAccept
	for n, c := range want {
		added := conn.AddChain(&nftables.Chain{
			Name: c.name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: c.hook, Priority: &c.priority, Policy: &policy,
		})
		for m, r := range c.rules {
			conn.AddRule(&nftables.Rule{Table: table, Chain: added, Exprs: r.exprs, UserData: comments[n][m]})
		}
	}
	if err := conn.Flush(); err != nil {
		return false, failed("setting", err)
	}
	return true, nil
}

// Remove removes the table. It is no error if there is none.
func Remove() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
	conn.AddTable(table)
	conn.DelTable(table)
	if err := conn.Flush(); err != nil {
		return failed("removing", err)
	}
	return nil
}

// failed says what helps.
func failed(doing string, err error) error {
	err = fmt.Errorf("%s the packet filter: %w", doing, err)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: it needs root, or CAP_NET_ADMIN", err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("%w: the kernel needs nf_tables, nft_ct and nft_fib_inet, as those of Debian and Ubuntu have them", err)
	}
	return err
}

// comments returns each rule's user data. It ends with the whole ruleset's fingerprint.
func (r ruleset) comments() ([][][]byte, error) {
	fingerprint, err := r.fingerprint()
	if err != nil {
		return nil, err
	}
	all := make([][][]byte, len(r))
	for n, chain := range r {
		for _, rule := range chain.rules {
			all[n] = append(all[n], userdata.AppendString(nil, userdata.TypeComment, rule.comment+" ["+fingerprint+"]"))
		}
	}
	return all, nil
}

// inPlace tells whether the kernel has exactly these rules. A rule never changes in the kernel: it comes
// and goes with its comment.
func inPlace(conn *nftables.Conn, want ruleset, comments [][][]byte) (bool, error) {
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, failed("reading", err)
	}
	var table *nftables.Table
	for _, t := range tables {
		if t.Name == tableName && t.Family == nftables.TableFamilyINet {
			table = t
		}
	}
	// A table with a flag may be dormant.
	if table == nil || table.Flags != 0 {
		return false, nil
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, failed("reading", err)
	}
	found := map[string]*nftables.Chain{}
	for _, c := range chains {
		if c.Table.Name == tableName {
			found[c.Name] = c
		}
	}
	if len(found) != len(want) {
		return false, nil
	}
	for n, c := range want {
		has := found[c.name]
		if has == nil || has.Type != nftables.ChainTypeFilter || has.Hooknum == nil || *has.Hooknum != *c.hook || *has.Priority != c.priority {
			return false, nil
		}
		rules, err := conn.GetRules(table, has)
		if errors.Is(err, unix.ENOENT) {
			return false, nil
		}
		if err != nil {
			return false, failed("reading", err)
		}
		if len(rules) != len(c.rules) {
			return false, nil
		}
		for m, r := range rules {
			if !bytes.Equal(r.UserData, comments[n][m]) {
				return false, nil
			}
		}
	}
	return true, nil
}
