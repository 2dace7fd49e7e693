// Package e2e tests bnfuse as its users run it: the program is built, folds files, and ONNX Runtime
// says whether the folded model still computes the same. The page of a report is opened in Chromium. It is a
// module of its own because it needs cgo, a shared library and a browser, which the project itself does not.
// The script run installs and starts everything.
//
// The models are those of ../testdata, each with what must become of its norms in expect.json, and
// the small graphs of onnx/onnxtest, one or more for each rule. Environment:
//
//	BNFUSE_ZOO=DIR           fold and compare every .onnx file in DIR too (counts from DIR/expect.json where it exists)
//	BNFUSE_ZOO_MODELS=F:NAME compare the checkpoints in it in PyTorch too: F is a Python file, NAME a dictionary in it of
//	                         what makes each model and the shape of its input
//	BNFUSE_PYTHON=FILE       the Python that has PyTorch; without one these tests are skipped
//	BNFUSE_BIN=FILE          test this program instead of building one
//	BNFUSE_ONNXRUNTIME=FILE  use this ONNX Runtime library instead of the one in node_modules
//	BNFUSE_REQUIRE_E2E=1     fail where the library is missing instead of skipping; CI=true does the same
//	BNFUSE_CHROMIUM=FILE     open the report's page in this browser instead of the Chromium of the PATH
//	BNFUSE_REQUIRE_CHROMIUM=1
//	                         fail where Chromium is missing instead of skipping; CI=true does the same
//	BNFUSE_SCREENSHOTS=DIR   keep pictures of the page there, for people to look at
package e2e
