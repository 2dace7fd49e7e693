package bench
import ("testing";"os";"runtime";"runtime/pprof";"time";"fmt";"context"
"github.com/bnfuse/bnfuse/host";"github.com/bnfuse/bnfuse/onnx")
func TestZZ(t *testing.T){
 in:="/tmp/mem/in.onnx"
 if _,err:=os.Stat(in);err!=nil{ writeModel2(t,in) ; return}
 go func(){ var max uint64; for{ time.Sleep(20*time.Millisecond); var m runtime.MemStats; runtime.ReadMemStats(&m); if m.HeapAlloc>max{max=m.HeapAlloc}; if m.NumGC>0 && m.HeapAlloc > uint64(float64(max)*0.99) && max>uint64(200e6) { f,_:=os.Create("/tmp/mem/heap.prof"); pprof.Lookup("heap").WriteTo(f,0); f.Close(); fmt.Printf("alloc %d MB sys %d next %d gc %d rel %d\n",m.HeapAlloc>>20,m.HeapSys>>20,m.NextGC>>20,m.NumGC,m.HeapReleased>>20)}}}()
 s:=time.Now()
 if _,err:=onnx.FuseFile(context.Background(),in,"/tmp/mem/out.onnx",onnx.Options{Engine:host.New(),Force:true});err!=nil{t.Fatal(err)}
 fmt.Println(time.Since(s))
}
func writeModel2(t *testing.T, in string){ writeModel(t,in,chainModel(1000000)) }
