using Collective.Collectives;
using Collective.Coordination;
using Collective.Core.Tests.Collectives;
using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.Client;

/// <summary>One operation between its verdicts and its ring.</summary>
[TestFixture]
internal sealed class AllReduceOperationTests
{
    private static readonly CollectiveDescriptor Bulk = new(100_000, DataType.Float32, ReduceOperation.Sum, 0);
    private static readonly AttemptKey Attempt = new(Epoch.First(1), new Tag(7), 0);

    [Test]
    public void What_still_comes_for_an_operation_that_was_given_up_is_no_violation()
    {
        using var buffer = new Memory((int)Bulk.Bytes);
        using var buffers = new Collective.Collectives.WorkBuffers();
        using var transport = new Transport();
        var operation = Start(buffer, buffers, transport);
        operation.StopRing();

        var header = new SegmentHeader(Attempt, Bulk.Digest, 0, 0, 4096);
        for (var i = 0; i < 100; i++)
        {
            var route = transport.Router.Find(header, out var handler);
            Assert.That(route, Is.EqualTo(SegmentRoute.Handler), $"segment {i}");
            Assert.That(handler!.BeginReceive(header, out _), Is.EqualTo(SegmentVerdict.Discard));
        }

        transport.Router.SetEpoch(Attempt.Epoch.Next());
        operation.Finish(new Outcome(ErrorCode.OperationAborted, "cancelled"));
        Assert.That(operation.Completion.IsFaulted);
    }

    [Test]
    public void A_committed_operation_is_forgotten_by_the_router()
    {
        using var buffer = new Memory((int)Bulk.Bytes);
        using var buffers = new Collective.Collectives.WorkBuffers();
        using var transport = new Transport();
        var operation = Start(buffer, buffers, transport);
        operation.Finish(Outcome.Success);
        Assert.That(operation.Completion.IsCompletedSuccessfully);
        Assert.That(transport.Router.Find(new SegmentHeader(Attempt, 1, 0, 0, 1), out _), Is.EqualTo(SegmentRoute.Early));
    }

    private static AllReduceOperation Start(Memory buffer, Collective.Collectives.WorkBuffers buffers, Transport transport)
    {
        var operation = new AllReduceOperation(new OperationId(1), Attempt.Tag, Bulk, 1 << 20, buffers, new RingPool(), _ => { });
        operation.UseMemory(buffer.Address, buffer.Address);
        var members = new[] { new Member(new PeerId(new Guid(1, 0, 0, new byte[8])), default), new Member(new PeerId(new Guid(2, 0, 0, new byte[8])), default) };
        var membership = new Membership(Attempt.Epoch, members, 0, new WorldSizes(2, 1, 2));
        transport.Router.SetEpoch(Attempt.Epoch);
        operation.StartRing(transport, Attempt, membership, new World(Attempt.Epoch, [.. members.Select(m => m.Id)], 0, 2, 1, 2));
        return operation;
    }

    private sealed class Transport : ITransport
    {
        public ushort Port => 0;

        public LinkBytes Moved => default;

        public SegmentRouter Router { get; } = new();

        public void Wire(WirePlan plan)
        {
            // The test sets the router's epoch.
        }

        public void Probe(ProbePlan plan)
        {
            // Nothing is measured.
        }

        public void Send(ISegmentHandler handler, in SegmentHeader header)
        {
            // Nothing leaves.
        }

        public IByteConnection DialState(Member holder) => throw new NotSupportedException();

        public void ServeState(Action<IByteConnection> serve) => throw new NotSupportedException();

        public void Dispose()
        {
            // Owns nothing.
        }
    }
}
