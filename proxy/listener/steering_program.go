package listener

import (
	"strconv"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/asm"
)

// reservationSpan is how long a SYN counts as a connection that is about to come, at the least; twice that at the most. It
// covers a handshake over any sensible distance with one retransmission (RFC 6298 section 2: 1 s), and a slow turn of the
// worker's loop.
const reservationSpan = time.Second

// Of the context, struct sk_reuseport_md of linux/bpf.h. The packet begins with the TCP header.
const (
	contextData    = 0
	contextDataEnd = 8
)

// Of the TCP header (RFC 9293 section 3.1).
const (
	tcpFlagsOffset = 13
	tcpFIN         = 0x01
	tcpSYN         = 0x02
	tcpRST         = 0x04
	tcpACK         = 0x10
)

// skPass is SK_PASS of enum sk_action in linux/bpf.h. Without a socket selected it leaves the choice to the kernel's hash
// (reuseport_select_sock in net/core/sock_reuseport.c).
const skPass = 1

// A score orders the workers: by load, then by rank, which is how long it is until their turn. The lowest byte is the
// worker, so that the lowest score says who it is. MaxSteered keeps rank and worker within a byte each, and a load has 48
// bits.
const (
	scoreLoadShift = 16
	scoreRankShift = 8
	scoreWorker    = 0xff
)

// Registers that keep their value: R6 to R9 survive calls of helpers, and there is none while next is needed.
const (
	regContext = asm.R6
	regLoads   = asm.R7 // the value of the loads map: head, then rows
	regBest    = asm.R8 // the lowest score, then its worker
	regMark    = asm.R9 // what is to be done to the rows: keepMarks, moveMarks, endMarks
	regNext    = asm.R5 // loadHead.next
)

// Places on the stack, from the frame pointer. The verifier keeps track of what is stored at multiples of 8, and knows
// nothing of a byte that was stored elsewhere and is read again (check_stack_write_fixed_off in kernel/bpf/verifier.c). That
// is how scores are kept from it: it would follow which worker each path leads to, and give up at some 20 workers.
const (
	stackKey    = -4
	stackOpaque = -7
)

// What becomes of the marks, by the time since the last one.
const (
	keepMarks = iota // less than a reservationSpan
	moveMarks        // up to two: what was marked then has expired, what is assigned now is marked
	endMarks         // longer: everything that is assigned has expired
)

// Labels of the program.
const (
	labelPass   = "pass"
	labelMarks  = "marks"
	labelRows   = "rows"
	labelNext   = "next"
	labelSelect = "select"

	// With the number of the worker.
	labelWorker  = "worker"
	labelReserve = "reserve"
	labelGone    = "gone"
)

const (
	offsetMarkedAt = int16(unsafe.Offsetof(loadHead{}.markedAt))
	offsetNext     = int16(unsafe.Offsetof(loadHead{}.next))
	offsetOpen     = int16(unsafe.Offsetof(loadRow{}.open))
	offsetSettled  = int16(unsafe.Offsetof(loadRow{}.settled))
	offsetAssigned = int16(unsafe.Offsetof(loadRow{}.assigned))
	offsetMarked   = int16(unsafe.Offsetof(loadRow{}.marked))
	offsetExpired  = int16(unsafe.Offsetof(loadRow{}.expired))
	offsetGone     = int16(unsafe.Offsetof(loadRow{}.gone))
)

// steeringProgram returns the program that chooses the worker of a connection: the one with the lowest load, and among
// equals whose turn it is. It is straight-line code with forward jumps only, which every kernel's verifier takes. loadsFD is an array map with one value of loadsSize(workers) bytes, socketsFD a socket array with the
// socket of each worker.
//
// It runs on every CPU at once and takes no lock. Where two CPUs handle SYNs at the same moment both may choose the same
// worker, and both may move the marks; a choice is then off by one for each, which the loads that follow make good.
func steeringProgram(workers, loadsFD, socketsFD int) asm.Instructions {
	var program asm.Instructions
	program = append(program, passUnlessSYN()...)
	program = append(program, decideMarks(loadsFD)...)
	for worker := range workers {
		program = append(program, considerWorker(worker, workers)...)
	}
	program = append(program, selectBest(workers, socketsFD)...)
	program = append(program, takeTurn(workers)...)
	for worker := range workers {
		program = append(program, reserve(worker, workers)...)
	}
	return append(program, pass()...)
}

// passUnlessSYN leaves everything but the first packet of a connection to the hash. A listening socket is also looked up for
// the ACK that answers a SYN cookie, which any socket of the group can accept, and for strays of connections that have
// gone; neither must reserve anything.
func passUnlessSYN() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(regContext, asm.R1),
		asm.LoadMem(asm.R2, regContext, contextData, asm.DWord),
		asm.LoadMem(asm.R3, regContext, contextDataEnd, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R2),
		asm.Add.Imm(asm.R1, tcpFlagsOffset+1),
		asm.JGT.Reg(asm.R1, asm.R3, labelPass),
		asm.LoadMem(asm.R1, asm.R2, tcpFlagsOffset, asm.Byte),
		asm.And.Imm(asm.R1, tcpFIN|tcpSYN|tcpRST|tcpACK),
		asm.JNE.Imm(asm.R1, tcpSYN, labelPass),
	}
}

// decideMarks looks at the clock. The comparisons are signed: another CPU may have marked since the clock was read.
func decideMarks(loadsFD int) asm.Instructions {
	return asm.Instructions{
		asm.FnKtimeGetNs.Call(),
		asm.LoadMapValue(regLoads, loadsFD, 0),
		asm.Mov.Imm(regMark, keepMarks),
		asm.LoadMem(asm.R1, regLoads, offsetMarkedAt, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R0),
		asm.Sub.Reg(asm.R2, asm.R1),
		asm.JSLT.Imm(asm.R2, int32(reservationSpan), labelRows),
		asm.Mov.Imm(regMark, moveMarks),
		asm.JSLT.Imm(asm.R2, int32(2*reservationSpan), labelMarks),
		asm.Mov.Imm(regMark, endMarks),
		asm.StoreMem(regLoads, offsetMarkedAt, asm.R0, asm.DWord).WithSymbol(labelMarks),

		// Higher than any score, and of no worker.
		asm.StoreImm(asm.RFP, stackOpaque, scoreWorker, asm.Byte).WithSymbol(labelRows),
		asm.LoadMem(regBest, asm.RFP, stackOpaque, asm.Byte),
		asm.LSh.Imm(regBest, 64-8),
		asm.Or.Imm(regBest, scoreWorker),
		asm.LoadMem(regNext, regLoads, offsetNext, asm.DWord),
	}
}

// considerWorker moves the worker's marks when it is time to, and makes its score the best one if it is.
func considerWorker(worker, workers int) asm.Instructions {
	label := func(name string) string { return name + strconv.Itoa(worker) }
	row := int16(lineSize * (1 + worker))
	after := labelSelect
	if worker+1 < workers {
		after = labelWorker + strconv.Itoa(worker+1)
	}
	return asm.Instructions{
		asm.LoadMem(asm.R1, regLoads, row+offsetGone, asm.DWord).WithSymbol(label(labelWorker)),
		asm.JNE.Imm(asm.R1, 0, after),
		asm.LoadMem(asm.R2, regLoads, row+offsetAssigned, asm.DWord),

		asm.JEq.Imm(regMark, keepMarks, label("load")),
		asm.LoadMem(asm.R3, regLoads, row+offsetMarked, asm.DWord),
		asm.JEq.Imm(regMark, moveMarks, label("move")),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.StoreMem(regLoads, row+offsetExpired, asm.R3, asm.DWord).WithSymbol(label("move")),
		asm.StoreMem(regLoads, row+offsetMarked, asm.R2, asm.DWord),

		// R2 = reserved
		asm.LoadMem(asm.R3, regLoads, row+offsetSettled, asm.DWord).WithSymbol(label("load")),
		asm.LoadMem(asm.R4, regLoads, row+offsetExpired, asm.DWord),
		asm.JGE.Reg(asm.R3, asm.R4, label("settled")),
		asm.Mov.Reg(asm.R3, asm.R4),
		asm.JLE.Reg(asm.R3, asm.R2, label("reserved")).WithSymbol(label("settled")),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.Sub.Reg(asm.R2, asm.R3).WithSymbol(label("reserved")),

		// R1 = load
		asm.LoadMem(asm.R1, regLoads, row+offsetOpen, asm.DWord),
		asm.Add.Reg(asm.R1, asm.R2),
		asm.LSh.Imm(asm.R1, scoreLoadShift),

		// R2 = rank, (worker - next) modulo workers.
		asm.Mov.Imm(asm.R2, int32(worker)),
		asm.JGE.Reg(asm.R2, regNext, label("rank")),
		asm.Add.Imm(asm.R2, int32(workers)),
		asm.Sub.Reg(asm.R2, regNext).WithSymbol(label("rank")),
		asm.LSh.Imm(asm.R2, scoreRankShift),

		// R1 = score
		asm.Or.Reg(asm.R1, asm.R2),
		asm.Or.Imm(asm.R1, int32(worker)),
		asm.JGE.Reg(asm.R1, regBest, after),
		asm.Mov.Reg(regBest, asm.R1),
	}
}

// selectBest has the kernel use the socket of the best worker. R0 is 0 then, or an error.
func selectBest(workers, socketsFD int) asm.Instructions {
	return asm.Instructions{
		asm.StoreMem(asm.RFP, stackOpaque, regBest, asm.Byte).WithSymbol(labelSelect),
		asm.LoadMem(regBest, asm.RFP, stackOpaque, asm.Byte),
		asm.JGE.Imm(regBest, int32(workers), labelPass), // all have gone
		asm.StoreMem(asm.RFP, stackKey, regBest, asm.Word),
		asm.Mov.Reg(asm.R1, regContext),
		asm.LoadMapPtr(asm.R2, socketsFD),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, stackKey),
		asm.Mov.Imm(asm.R4, 0), // no flags are defined
		asm.FnSkSelectReuseport.Call(),
	}
}

// takeTurn lets the worker after the chosen one go first among equals.
func takeTurn(workers int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R2, regBest),
		asm.Add.Imm(asm.R2, 1),
		asm.JLT.Imm(asm.R2, int32(workers), labelNext),
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(regLoads, offsetNext, asm.R2, asm.DWord).WithSymbol(labelNext),
		asm.Mov.Imm(asm.R1, 1),
	}
}

// reserve counts the connection as the worker's, if it is the chosen one. A worker whose socket has left the array, as it
// does when it is closed (bpf_sk_reuseport_detach in kernel/bpf/reuseport_array.c), is marked as gone instead: it would have
// the lowest load for ever. The hash takes this connection then, and the next one is steered among those that are left.
//
// There is a block per worker because a row at an offset that is only known at run time would make the verifier compare
// states exactly, and give up, where the process lacks CAP_PERFMON (explore_alu_limits in kernel/bpf/verifier.c).
func reserve(worker, workers int) asm.Instructions {
	row := int16(lineSize * (1 + worker))
	after, gone := labelPass, labelGone+strconv.Itoa(worker)
	if worker+1 < workers {
		after = labelReserve + strconv.Itoa(worker+1)
	}
	return asm.Instructions{
		asm.JNE.Imm(regBest, int32(worker), after).WithSymbol(labelReserve + strconv.Itoa(worker)),
		asm.JNE.Imm(asm.R0, 0, gone),
		asm.AddAtomic.Mem(regLoads, asm.R1, asm.DWord, row+offsetAssigned),
		asm.Ja.Label(labelPass),
		asm.StoreMem(regLoads, row+offsetGone, asm.R1, asm.DWord).WithSymbol(gone),
		asm.Ja.Label(labelPass),
	}
}

// pass ends the program.
func pass() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R0, skPass).WithSymbol(labelPass),
		asm.Return(),
	}
}
