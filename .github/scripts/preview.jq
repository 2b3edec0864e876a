# One stack's preview as Markdown.
# What is only read is no change: a stack reads its own outputs each time.
def changes: {
  "create": "create", "update": "update", "replace": "**replace**", "delete": "**delete**", "import": "import"
};
[.steps[]? | select(changes[.op])] as $steps
| [.diagnostics[]? | select(.severity == "error") | .message | gsub("<\\{%[^%]*%\\}>"; "") | rtrimstr("\n")] as $errors
| ($steps | group_by(.op) | map("\(length) to \(.[0].op)") | join(", ")) as $summary
| "### \($stack): "
    + (if .note then .note elif $errors != [] then "failed" elif $steps == [] then "no changes" else $summary end),
  "",
  (if $errors != [] then "```", ($errors | join("\n") | .[0:4000]), "```", "" else empty end),
  (if $steps != [] then
    "<details><summary>Changes</summary>",
    "",
    "| | resource | type | properties |",
    "| --- | --- | --- | --- |",
    ($steps[0:200][]
      | (.urn | split("::")) as $urn
      | "| \(changes[.op]) | `\($urn[3])` | `\($urn[2] | split("$") | last)` | "
        + ((.diffReasons // .replaceReasons // []) | map("`\(.)`") | join(", ")) + " |"),
    (if ($steps | length) > 200 then "| … | \(($steps | length) - 200) more | | |" else empty end),
    "",
    "</details>",
    ""
  else empty end)
