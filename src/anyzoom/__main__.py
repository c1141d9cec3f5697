"""python -m anyzoom"""

from anyzoom.cli import main

main()
