using System.Collections.Concurrent;
using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>A peer without a master: a transport, and what it has told.</summary>
internal sealed class Peer : ITransportEvents, IDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    public static readonly LinkKey Key = new(new Guid("33333333333333333333333333333333"));

    private readonly BlockingCollection<object> _events = [];

    public Peer(int number) => Id = new PeerId(new Guid(number, 0, 0, new byte[8]));

    internal sealed record Lost(Epoch Epoch, PeerId Neighbour, bool Outgoing, string Detail);

    internal sealed record Probed(ulong Number, ulong? BytesPerSecond, string Detail);

    internal sealed record Survey(Epoch Epoch, ushort[] Unreachable);

    public PeerId Id { get; }

    public ITransport Transport { get; set; } = null!;

    /// <summary>Where the others reach this peer.</summary>
    public PeerAddress Address { get; set; }

    public Member Member => new(Id, Address);

    /// <summary>Asks for the links of an epoch.</summary>
    public void Wire(Epoch epoch, Peer? next, Peer? previous) => Transport.Wire(new WirePlan(Key, Id, epoch, next?.Member, previous?.Member));

    /// <summary>Takes this peer's part in a probe.</summary>
    public void Probe(ulong number, Peer from, Peer to) => Transport.Probe(new ProbePlan(Key, Id, number, from.Member, to.Member));

    /// <summary>Waits until the links of the epoch stand; losses of older epochs may still be told before.</summary>
    public void ExpectWired(Epoch epoch)
    {
        while (true)
        {
            switch (Next())
            {
                case Epoch wired when wired == epoch: return;
                case Epoch older when older < epoch: break;
                case Lost lost when lost.Epoch < epoch: break;
                case var other: Assert.Fail($"instead of Wired({epoch}) came {other}"); break;
            }
        }
    }

    /// <summary>Waits for the loss of a link; that an epoch was wired before is no surprise.</summary>
    public Lost ExpectLost()
    {
        while (true)
        {
            switch (Next())
            {
                case Lost lost: return lost;
                case Exception defect: throw new InvalidOperationException("a defect was told", defect);
            }
        }
    }

    /// <summary>Waits for the end of a probe; that an epoch was wired before is no surprise.</summary>
    public Probed ExpectProbed()
    {
        while (true)
        {
            if (Next() is Probed probed)
            {
                return probed;
            }
        }
    }

    /// <summary>Waits for the answer to a survey.</summary>
    public ushort[] ExpectSurveyed() => Next() is Survey survey ? survey.Unreachable : throw new AssertionException("something else was told");

    /// <summary>Nothing has been told that was not expected.</summary>
    public void ExpectNothing() => Assert.That(_events.TryTake(out var told), Is.False, $"told {told}");

    /// <summary>Nothing has been told but, at most, that this probe has failed.</summary>
    public void ExpectNothingBut(ulong probe)
    {
        while (_events.TryTake(out var told))
        {
            Assert.That(told, Is.TypeOf<Probed>().With.Property("Number").EqualTo(probe).And.Property("BytesPerSecond").Null);
        }
    }

    public void Dispose() => Transport.Dispose();

    void ITransportEvents.Wired(Epoch epoch) => _events.Add(epoch);

    void ITransportEvents.LinkLost(Epoch epoch, PeerId neighbour, bool outgoing, string detail) => _events.Add(new Lost(epoch, neighbour, outgoing, detail));

    void ITransportEvents.Surveyed(Epoch epoch, IReadOnlyList<ushort> unreachable) => _events.Add(new Survey(epoch, [.. unreachable]));

    void ITransportEvents.ProbeDone(ulong number, ulong? bytesPerSecond, string detail) => _events.Add(new Probed(number, bytesPerSecond, detail));

    void ITransportEvents.Failed(Exception exception) => _events.Add(exception);

    void ITransportEvents.SegmentMoved(bool sent)
    {
        // Only for tests that end a process.
    }

    private object Next()
    {
        Assert.That(_events.TryTake(out var told, Patience), Is.True, "nothing was told in time");
        return told!;
    }
}
