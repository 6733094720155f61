using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Protocol;

[TestFixture]
internal sealed class StateTransferRecordsTests
{
    private static readonly StateRequest[] s_requests =
    [
        new(StateRequestKind.Digests, 1, 0, 1, "k"),
        new(StateRequestKind.Digests, 1L << 40, 1 << 20, Limits.StateDigestsPerRequestMax, new string('x', Limits.StateKeyBytesMax)),
        new(StateRequestKind.Blocks, 123_456_789, 17, Limits.StateBlocksPerRequestMax, "layers.0.weight ß"),
    ];

    [Test]
    public void A_request_comes_back([ValueSource(nameof(s_requests))] StateRequest request)
    {
        var buffer = new byte[StateRequest.FixedBytes + Limits.StateKeyBytesMax];
        var length = request.Write(buffer);
        var keyBytes = StateRequest.ParseFixed(buffer.AsSpan(0, StateRequest.FixedBytes), out var parsed);
        Assert.That(keyBytes, Is.EqualTo(length - StateRequest.FixedBytes));
        Assert.That(parsed with { Key = StateRequest.ParseKey(buffer.AsSpan(StateRequest.FixedBytes, keyBytes!.Value))! }, Is.EqualTo(request));
    }

    [Test]
    public void A_request_has_these_bytes()
    {
        var buffer = new byte[64];
        var length = new StateRequest(StateRequestKind.Blocks, 0x0102030405, 6, 7, "ab").Write(buffer);
        Assert.That(Convert.ToHexString(buffer.AsSpan(0, length)), Is.EqualTo("4353525102000200" + "0504030201000000" + "0600000000000000" + "07000000" + "6162"));
    }

    [Test]
    public void What_asks_for_too_much_is_no_request()
    {
        StateRequest[] wrong =
        [
            new(StateRequestKind.Digests, 1, 0, 0, "k"),
            new(StateRequestKind.Digests, 1, 0, Limits.StateDigestsPerRequestMax + 1, "k"),
            new(StateRequestKind.Blocks, 1, 0, Limits.StateBlocksPerRequestMax + 1, "k"),
            new(StateRequestKind.Blocks, 1, 0, -1, "k"),
            new(StateRequestKind.Blocks, -1, 0, 1, "k"),
            new(StateRequestKind.Blocks, 1, -1, 1, "k"),
            new(StateRequestKind.Blocks, 1, 0, 1, ""),
            new(StateRequestKind.Blocks, 1, 0, 1, new string('x', Limits.StateKeyBytesMax + 1)),
            new(0, 1, 0, 1, "k"),
            new((StateRequestKind)3, 1, 0, 1, "k"),
        ];
        foreach (var request in wrong)
        {
            var buffer = new byte[1024];
            request.Write(buffer);
            Assert.That(StateRequest.ParseFixed(buffer.AsSpan(0, StateRequest.FixedBytes), out _), Is.Null, $"{request}");
        }
    }

    [Test]
    public void Truncated_or_random_bytes_are_neither()
    {
        var buffer = new byte[64];
        s_requests[0].Write(buffer);
        for (var length = 0; length < StateRequest.FixedBytes; length++)
        {
            Assert.That(StateRequest.ParseFixed(buffer.AsSpan(0, length), out _), Is.Null);
        }

        new StateResponse(StateReply.Plain, 16).Write(buffer);
        for (var length = 0; length < StateResponse.Bytes; length++)
        {
            Assert.That(StateResponse.Parse(buffer.AsSpan(0, length)), Is.Null);
        }

        var random = new Random(1);
        for (var i = 0; i < 100_000; i++)
        {
            random.NextBytes(buffer);
            _ = StateRequest.ParseFixed(buffer, out _);
            _ = StateRequest.ParseKey(buffer);
            _ = StateResponse.Parse(buffer);
        }

        Assert.That(StateRequest.ParseKey([0xC3]), Is.Null);
    }

    [Test]
    public void A_response_comes_back_and_has_limits()
    {
        var buffer = new byte[StateResponse.Bytes];
        foreach (var reply in Enum.GetValues<StateReply>())
        {
            new StateResponse(reply, 77).Write(buffer);
            Assert.That(StateResponse.Parse(buffer), Is.EqualTo(new StateResponse(reply, 77)));
        }

        new StateResponse(StateReply.Plain, Limits.StatePayloadBytesMax + 1).Write(buffer);
        Assert.That(StateResponse.Parse(buffer), Is.Null);
        new StateResponse((StateReply)9, 1).Write(buffer);
        Assert.That(StateResponse.Parse(buffer), Is.Null);
    }
}
