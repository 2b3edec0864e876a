# What a preview would do to servers and their addresses, which a reviewer must
# not miss. Prints nothing if that is nothing.
[
  .steps[]?
  | select(.op == "replace" or .op == "delete")
  | (.urn | split("::")) as $urn
  | ($urn[2] | split("$") | last) as $type
  | select($type == "hcloud:index/server:Server" or $type == "hcloud:index/primaryIp:PrimaryIp")
  | "> - **\(.op)** \($type | split(":")[1] | split("/") | last) `\($urn[3])`"
    + (if (.replaceReasons // []) != [] then " because of \(.replaceReasons | map("`\(.)`") | join(", "))" else "" end)
] | unique
| if . == [] then empty else
    "> [!CAUTION]",
    "> **\($stack)** loses servers or addresses, and with a server the data on it:",
    .[],
    ""
  end
