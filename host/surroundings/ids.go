package surroundings

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// ids are those of somebody else: a file of the gateway must not be anybody's by chance.
func (m Machine) ids(ctx context.Context) []string {
	var found []string
	for _, kind := range []struct{ database, file, noun, command string }{
		{"passwd", "/etc/passwd", "user", "usermod --uid"},
		{"group", "/etc/group", "group", "groupmod --gid"},
	} {
		if name := m.named(ctx, kind.database, kind.file); name != "" && name != Reserved {
			found = append(found, fmt.Sprintf("%s id %d, which the gateway's files have, belongs to %s %s: give that %s another id (%s)",
				kind.noun, ID, kind.noun, name, kind.noun, kind.command))
		}
	}
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		for _, fields := range m.lines(file) {
			if len(fields) != 3 {
				continue
			}
			start, err := strconv.Atoi(fields[1])
			if err != nil {
				continue
			}
			count, err := strconv.Atoi(fields[2])
			if err == nil && start <= ID && ID < start+count {
				found = append(found, fmt.Sprintf("id %d, which the gateway's files have, is in the range of %s in %s: give %s another range",
					ID, fields[0], file, fields[0]))
			}
		}
	}
	return found
}

// named is who has the ID; "" if nobody has. Where names come from elsewhere, getent knows whether anybody has.
func (m Machine) named(ctx context.Context, database, file string) string {
	for _, fields := range m.lines(file) {
		if len(fields) > 2 && fields[2] == strconv.Itoa(ID) {
			return fields[0]
		}
	}
	if exec.CommandContext(ctx, "getent", database, strconv.Itoa(ID)).Run() == nil {
		return fmt.Sprintf("of a directory service (getent %s %d)", database, ID)
	}
	return ""
}

// lines reads a file of fields with colons between them. One that is not there has none.
func (m Machine) lines(path string) [][]string {
	file, err := os.Open(m.path(path))
	if err != nil {
		return nil
	}
	defer file.Close()
	var lines [][]string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		lines = append(lines, strings.Split(scanner.Text(), ":"))
	}
	return lines
}
