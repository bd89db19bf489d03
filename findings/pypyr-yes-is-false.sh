#!/usr/bin/env bash
# pypyr 5.9.1. Decorators of a step, `run` and `skip`, given as yes and on.
# Guess: yes is true, as in Ansible's, GitHub's and cloud-init's YAML; or else an error, as it is no boolean.
# Behaviour: pypyr reads YAML 1.2, where yes is a text, and a text is true only if it is "true", "1" or "1.0". `run: yes` leaves the
#   step out, `skip: yes` has it done, and neither says so. A number is true, and a key that is misspelt is passed over.
# Seen: of steps with run: yes, 'on', true, 2, '2', runn: false and skip: yes, done are: true, 2, runn, skip: yes. Exit code 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check pypyr==5.9.1
cd "$work"
step() { printf -- '  - name: pypyr.steps.echo\n    %s\n    in:\n      echoMe: "done: %s"\n' "$1" "${1//\"/\'}"; }
{
    echo steps:
    for decorator in 'run: yes' 'run: on' 'run: true' 'run: 2' 'run: "2"' 'runn: false' 'skip: true' 'skip: yes'; do step "$decorator"; done
} > slip.yaml
venv/bin/pypyr slip > seen 2>&1 || { cat seen; echo "it fails now"; exit 1; }
cat seen
diff - seen << 'END' || { echo "steps are left out otherwise now"; exit 1; }
done: run: true
done: run: 2
done: runn: false
done: skip: yes
END
