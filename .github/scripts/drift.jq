# Judges a preview with --refresh: one line for each step that is a change, as
# KIND, a tab, and what it is. KIND is "drift", or "credential" for a provider
# that has another token than when the stack was deployed and differs in nothing
# else: a rotated token changes nothing in any cloud. $registry tells that another
# password for the registry was given, too, which stands in what commands read.
def credentials: ["appAuth", "token"];
# What compares and asks, and changes nothing.
def harmless: ["same", "read", "refresh"];

def token: .urn | split("::")[2] | split("$") | last;
def changed: ([.diffReasons // [], .replaceReasons // [], (.detailedDiff // {} | keys)] | add
  | map(split(".")[0] | split("[")[0]) | unique);
def others($state): ($state.inputs // {}) | with_entries(select(.key as $key | credentials | index($key) | not));
def credential_only:
  .op == "update" and changed != []
  and if token | startswith("pulumi:providers:")
      then changed - credentials == [] and others(.oldState) == others(.newState)
      else $registry and changed == ["stdin"] and (token | IN("command:local:Command", "command:remote:Command"))
      end;

# An empty file is no preview, which only `input` notices: run it with --null-input.
input
| if (.steps | type) != "array" then error("the preview has no steps") else . end
| .steps[]
| select(.op as $op | harmless | index([$op]) | not)
| (.urn | split("::")[3]) as $name
| (if credential_only then "credential" else "drift" end)
  + "\t" + "\(.op) of \(token) \($name)"
  + (if changed == [] then "" else ": " + (changed | join(", ")) end)
