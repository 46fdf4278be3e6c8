// What Pulumi loads: its policy host compiles a .ts file that it loads itself, by a compiler of 2020. Node runs this one.
import './index.ts';
