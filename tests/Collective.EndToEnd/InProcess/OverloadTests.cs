using System.Numerics.Tensors;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Calls as a user writes them first: arrays, tokens, and tensors of any strides.</summary>
internal sealed class OverloadTests : EndToEndTest
{
    [Test]
    public async Task ArraysAndTokensCompile()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        using var source = new CancellationTokenSource();
        var token = source.Token;
        var results = await Task.WhenAll(peers.Select(async (peer, number) =>
        {
            var (buffer, target) = (new[] { 1f, number }, new float[2]);
            await peer.StepAsync(token);
            await peer.UpdateTopologyAsync(token);
            await peer.OptimizeTopologyAsync(token);
            Assert.That(await peer.ArePeersPendingAsync(token), Is.False);
            await peer.AllReduceAsync(buffer);
            await peer.AllReduceAsync(buffer, target, ReduceOperation.Max, tag: 1);
            return (buffer, target);
        })).WaitAsync(Deadline);
        foreach (var (buffer, target) in results)
        {
            Assert.That(buffer, Is.EqualTo(new[] { 2f, 1f }));
            Assert.That(target, Is.EqualTo(buffer));
        }
    }

    [Test]
    public async Task ATokenThatIsCancelledEndsAConnect()
    {
        var communicator = NewCommunicator(StartMaster());
        Assert.That(async () => await communicator.ConnectAsync(new CancellationToken(true)), Throws.InstanceOf<OperationCanceledException>());
        await communicator.ConnectAsync(CancellationToken.None).WaitAsync(Deadline);
    }

    [Test]
    public async Task TensorsOfAnyStrides()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var all = await Task.WhenAll(peers.Select(async (peer, number) =>
        {
            var dense = Matrix(number);
            var target = Tensor.CreateFromShape<double>([2, 3]);
            var storage = Matrix(number);
            var transposed = Tensor.PermuteDimensions(Matrix(number), [1, 0]);
            await peer.AllReduceAsync(dense);
            await peer.AllReduceAsync(Matrix(number), target, tag: 1);
            await peer.AllReduceAsync(transposed, tag: 2);
            await Task.Run(() =>
            {
                var columns = storage.AsTensorSpan().Slice(0..2, 1..3);
                peer.AllReduce(columns, tag: 3);
            });
            return (dense.ToArray(), target.ToArray(), storage.ToArray(), transposed.ToArray());
        })).WaitAsync(Deadline);
        foreach (var (dense, target, storage, transposed) in all)
        {
            Assert.That(dense, Is.EqualTo(new double[] { 1, 3, 5, 7, 9, 11 }));
            Assert.That(target, Is.EqualTo(dense));
            Assert.That(transposed, Is.EqualTo(new double[] { 1, 7, 3, 9, 5, 11 }));
            Assert.That(storage[1..3].Concat(storage[4..6]), Is.EqualTo(new double[] { 3, 5, 9, 11 }));
        }

        Assert.That(all[0].Item3[0], Is.Zero);
        Assert.That(all[1].Item3[0], Is.EqualTo(1));
    }

    [Test]
    public async Task TensorsThatDoNotFitAreRefused()
    {
        var peer = await ConnectAlone(StartMaster());
        AssertFailure(await FailureOf(() => peer.AllReduceAsync(Matrix(0), Tensor.CreateFromShape<double>([3, 2]))), ErrorCode.InvalidArgument, "2 x 3");
        var broadcast = Tensor.Create<double>([1, 2, 3], [2, 3], [0, 1]);
        AssertFailure(await FailureOf(() => peer.AllReduceAsync(broadcast)), ErrorCode.InvalidArgument, "share memory");
    }

    private static Tensor<double> Matrix(int number) => Tensor.Create<double>([.. Enumerable.Range(number, 6).Select(i => (double)i)], [2, 3]);
}
