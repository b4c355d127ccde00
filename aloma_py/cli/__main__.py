from aloma_py.cli import main

main()
