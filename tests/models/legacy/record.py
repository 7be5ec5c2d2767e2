"""What these models give under TensorFlow 1.4.0 itself: writes expected.json beside this file.

python3.6 -m venv tf14 && tf14/bin/pip install tensorflow==1.4.0 numpy==1.13.3 && tf14/bin/python record.py
"""

import json
import os
import runpy
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
INPUTS = [0.5, -1.25, 2.0, 0.0, -0.75, 1.5, 3.0, -2.5]


def record(name):
    os.chdir(os.path.join(HERE, os.path.dirname(name)))
    sys.path.insert(0, os.getcwd())
    model = runpy.run_path(os.path.join(HERE, name))
    model["begin"]()
    outputs = [output for value in INPUTS for output in model["action"](value)]
    found = {"variables": model["action"].__globals__["names"], "outputs": outputs}
    model["end"]()
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(record(sys.argv[1])))
    else:
        names = ["cells.py", "frozen.py", "helped/model.py", "layers.py"]
        found = {}
        for name in names:  # a process each; the last line is ours, before it TensorFlow prints
            printed = os.popen("%s %s %s" % (sys.executable, os.path.abspath(__file__), name)).read()
            found[name] = json.loads(printed.splitlines()[-1])
        with open(os.path.join(HERE, "expected.json"), "w") as file:
            json.dump({"inputs": INPUTS, "models": found}, file, sort_keys=True)
            file.write("\n")
